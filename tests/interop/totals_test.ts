/** What conntrack counted reaches the client of the API whole: compared with what the pod's own kernel says it sent and received. */
import assert from "node:assert/strict";
import { startAgent } from "../lab/agent.ts";
import { createLab, type LabHost } from "../lab/lab.ts";
import { ebpf, lab as needsLab, testWith } from "../lab/need.ts";
import { sendTcp, serve } from "../lab/traffic.ts";
import { cli, type FlowJson, flowsOf, hubble } from "./hubble.ts";

const MESSAGES = 600;

/** TCP segments of a network namespace: those of /proc/net/snmp count both address families. */
async function segments({ namespace }: LabHost): Promise<{ sent: number; received: number }> {
  const lines = (await namespace.run("cat", ["/proc/net/snmp"])).stdout.split("\n");
  const [names, values] = lines.filter((line) => line.startsWith("Tcp:")).map((line) => line.split(" "));
  const value = (name: string) => Number(values[names.indexOf(name)]);
  return { sent: value("OutSegs") + value("RetransSegs"), received: value("InSegs") };
}

/** The numbers of a flow's extension. */
function numbers(flow: FlowJson): Record<string, number> {
  return flow.extensions?.value as Record<string, number>;
}

const packets = (flows: readonly FlowJson[]) =>
  flows.reduce((sum, flow) => sum + 1 + (numbers(flow).previously_observed_packets ?? 0), 0);

testWith(
  [needsLab, ebpf, cli],
  "a connection's counts are those of its end, at the pod and at the host device",
  async () => {
    await using lab = await createLab();
    const [pod] = lab.pods;
    await using _server = await serve(lab.client.namespace);
    await using _agent = await startAgent(lab);
    for (const family of ["ipv4", "ipv6"] as const) {
      const before = await segments(pod);
      const { sourcePorts: [port] } = await sendTcp(pod.namespace, { address: lab.client[family], messages: MESSAGES });
      const after = await segments(pod);
      const sent = after.sent - before.sent, received = after.received - before.received;
      assert(sent > MESSAGES && received > MESSAGES, `${sent} sent, ${received} received`);
      for (const device of [pod.nodeDevice, lab.hostDevice]) {
        // The last segment may still be on its way.
        let flows: FlowJson[] = [];
        for (let tries = 0; tries < 100 && packets(flows) < sent + received; tries++) {
          const args = ["observe", "--all", "-o", "json", "--port", `${port}`, "--interface", device];
          flows = flowsOf(await hubble(lab.node, args));
        }
        assert.equal(packets(flows.filter((flow) => !flow.is_reply)), sent, `${family} at ${device}`);
        assert.equal(packets(flows.filter((flow) => flow.is_reply)), received, `${family} at ${device}`);
        const last = numbers(flows.at(-1)!);
        assert.deepEqual([last.total_packets_tx, last.total_packets_rx], [sent, received]);
        assert(last.total_bytes_tx > MESSAGES * 64 && last.total_bytes_rx > MESSAGES * 64);
      }
    }
  },
);
