/** The agent as a process: how it starts, ends, comes back after a crash, and refuses what cannot work. */
import assert from "node:assert/strict";
import { AGENT } from "../../scripts/permissions.ts";
import { attachedPrograms, startAgent } from "../lab/agent.ts";
import { createLab, type Lab } from "../lab/lab.ts";
import { btf, ebpf, lab as needsLab, tcx, testWith } from "../lab/need.ts";
import { sendUdp, serve } from "../lab/traffic.ts";
import { flowLines, toJsonLines } from "./fixture.ts";
import { cli, flowsOf, hubble } from "./hubble.ts";

const NEEDS = [needsLab, ebpf];

/** Each device of the lab that is watched has one program in each direction. */
const DEVICES = ["eth0", "veth0", "veth1", "veth2"];

function perDevice(programs: readonly string[]): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const line of programs) {
    const [device, direction] = line.split(" ");
    counts[`${device} ${direction}`] = (counts[`${device} ${direction}`] ?? 0) + 1;
  }
  return counts;
}

const ONE_EACH = Object.fromEntries(DEVICES.flatMap((device) => [[`${device} ingress`, 1], [`${device} egress`, 1]]));

for (const [mode, kind, needs] of [["tcx", "tcx", [tcx]], ["legacy", "bpf", []]] as const) {
  testWith([...NEEDS, ...needs], `--tc-attach ${mode}: attached once at start, nothing after SIGTERM`, async () => {
    await using lab = await createLab();
    const agent = await startAgent(lab, { args: ["--tc-attach", mode] });
    const programs = await attachedPrograms(lab);
    assert.deepEqual(perDevice(programs), ONE_EACH);
    assert.deepEqual(programs.filter((line) => line.split(" ")[2] !== kind), []);
    assert.equal(await agent.stop(), 0);
    assert.deepEqual(await attachedPrograms(lab), []);
  });

  testWith([...NEEDS, ...needs, cli], `--tc-attach ${mode}: kill -9 and a restart double nothing`, async () => {
    await using lab = await createLab();
    const [client, server] = lab.pods;
    await using _server = await serve(server.namespace);
    const killed = await startAgent(lab, { args: ["--tc-attach", mode] });
    await killed.process.stop({ signal: "SIGKILL" });
    {
      await using _agent = await startAgent(lab, { args: ["--tc-attach", mode] });
      assert.deepEqual(perDevice(await attachedPrograms(lab)), ONE_EACH);
      await sendUdp(client.namespace, { address: server.ipv4, count: 3, sourcePort: 43_000 });
      const flows = flowsOf(await hubble(lab.node, ["observe", "--all", "-o", "json"]))
        .filter((flow) => JSON.stringify(flow.l4).includes('_port":43000'));
      assert.deepEqual(
        flows.map((flow) => `${flow.interface?.name} ${flow.trace_observation_point}`).sort(),
        ["veth0 FROM_ENDPOINT", "veth0 TO_ENDPOINT", "veth1 FROM_ENDPOINT", "veth1 TO_ENDPOINT"],
      );
    }
    assert.deepEqual(await attachedPrograms(lab), []);
  });
}

Deno.test("--print to a pager that nobody scrolls does not keep the agent from ending", async () => {
  const file = await Deno.makeTempFile({ suffix: ".jsonl" });
  try {
    // More lines than a pipe holds.
    await Deno.writeTextFile(file, toJsonLines(flowLines(4000)));
    const loopback = ["--hubble-address", "127.0.0.1", "--metrics-address", "127.0.0.1"];
    const args = ["--replay", file, "--print", "--hubble-port", "0", "--metrics-port", "0", ...loopback];
    const agent = new Deno.Command(Deno.execPath(), {
      args: ["run", ...AGENT, new URL("../../main.ts", import.meta.url).pathname, ...args],
      stdout: "piped", // and not read
      stderr: "piped",
      signal: AbortSignal.timeout(60_000),
    }).spawn();
    let log = "";
    for await (const text of agent.stderr.pipeThrough(new TextDecoderStream())) {
      if (!log.includes("Replayed") && (log + text).includes("Replayed")) agent.kill("SIGTERM");
      log += text;
    }
    assert.equal((await agent.status).code, 0, log);
    assert.doesNotMatch(log, /took too long/);
    await agent.stdout.cancel();
  } finally {
    await Deno.remove(file);
  }
});

testWith(NEEDS, "every debug endpoint answers under the permissions that the agent has", async () => {
  await using lab = await createLab();
  await using agent = await startAgent(lab);
  const paths = (await agent.get("/")).trim().split("\n");
  assert(paths.includes("/debug/pprof/profile"), paths.join(", "));
  for (const path of paths) assert.notEqual(await agent.get(`${path}?seconds=1`), "", path);
});

/** Runs the agent in the lab's node until it ends by itself. */
function runAgent(lab: Lab, ...args: string[]) {
  const main = new URL("../../main.ts", import.meta.url).pathname;
  return lab.node.runDeno([...AGENT, main, ...args], { allowFailure: true, timeoutMs: 15_000 });
}

/** What the user sees: one line on standard error, the exit code, and nothing attached. */
async function refuses(lab: Lab, code: number, message: RegExp, ...args: string[]): Promise<void> {
  const output = await runAgent(lab, ...args);
  assert.match(output.stderr, message);
  assert.match(output.stderr, /^retina-agent: .*\n$/, "one line");
  assert.equal(output.code, code, output.stderr);
  assert.deepEqual(await attachedPrograms(lab), []);
}

testWith([...NEEDS, btf], "bad input ends with one line and the right code, and nothing stays attached", async (t) => {
  await using lab = await createLab();
  const cases: Record<string, [number, RegExp, ...string[]]> = {
    "an unknown flag": [2, /^retina-agent: .*--no-such-flag.*\n$/, "--no-such-flag"],
    "a port that is no number": [2, /^retina-agent: .*--hubble-port.*"?http"?.*\n$/, "--hubble-port", "http"],
    "a capacity that is no power of two": [
      2,
      /^retina-agent: .*--flow-capacity.*1000.*power of two.*\n$/,
      "--flow-capacity",
      "1000",
    ],
    "an unknown interface": [1, /no-such0/, "--extra-interfaces", "no-such0"],
    "a wrong attach mode": [2, /^retina-agent: .*--tc-attach.*xdp.*\n$/, "--tc-attach", "xdp"],
  };
  for (const [name, [code, message, ...args]] of Object.entries(cases)) {
    await t.step(name, () => refuses(lab, code, message, ...args));
  }
  await t.step("no capabilities", async () => {
    const main = new URL("../../main.ts", import.meta.url).pathname;
    const command = [Deno.execPath(), "run", ...AGENT, main, "--pod-level"];
    const output = await lab.node.run("setpriv", ["--bounding-set=-all", ...command], { allowFailure: true });
    assert.match(output.stderr, /^retina-agent: .*EPERM.*CAP_BPF.*\n$/m);
    assert.equal(output.code, 1);
  });
  await t.step("a metrics address of another machine", async () => {
    const message = /^retina-agent: Cannot serve metrics on 198\.51\.100\.1:.* choose another --metrics-address$/m;
    await refuses(lab, 1, message, "--metrics-address", "198.51.100.1");
  });
  await t.step("a port in use", async () => {
    await using _first = await startAgent(lab, { args: [] });
    const output = await runAgent(lab, "--metrics-port", "0");
    assert.match(output.stderr, /^retina-agent: Cannot listen on .*:4244: the address is in use; .* --hubble-port$/m);
    assert.equal(output.code, 1, output.stderr);
    assert.deepEqual(perDevice(await attachedPrograms(lab)), ONE_EACH);
  });
});
