/** The unmodified Hubble CLI against the agent on live traffic: what it prints is what the lab sent. */
import assert from "node:assert/strict";
import { startAgent } from "../lab/agent.ts";
import { createLab, type Lab, type LabHost } from "../lab/lab.ts";
import { writeIdentityFile } from "../lab/identities.ts";
import { ebpf, lab as needsLab, testWith } from "../lab/need.ts";
import { dnsQuery, ECHO_PORT, httpGet, ping, sendTcp, sendUdp, serve, urlHost } from "../lab/traffic.ts";
import { cli, CLI_ENV, type FlowJson, flowsOf, hubble } from "./hubble.ts";
import { toolPath } from "../../scripts/tools.ts";

const NEEDS = [needsLab, ebpf, cli];
const FAMILIES = ["ipv4", "ipv6"] as const;
/** Without neighbour discovery, which comes when it likes: answers that are compared are about the same flows. */
const QUIET = ["--not", "--protocol", "icmpv6"];

/** Asks until the flows that pass the test are as many as expected, at most twenty seconds. */
async function flowsWhere(lab: Lab, wanted: (flow: FlowJson) => boolean, count: number): Promise<FlowJson[]> {
  const deadline = performance.now() + 20_000;
  for (;;) {
    const found = flowsOf(await hubble(lab.node, ["observe", "--all", "-o", "json"])).filter(wanted);
    if (found.length >= count || performance.now() > deadline) return found;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

function portsOf(flow: FlowJson): number[] {
  return Object.values(flow.l4).flatMap((layer) => [layer.source_port ?? 0, layer.destination_port ?? 0]);
}

/** What a person would say about a flow: `veth0 from-endpoint -> request`. */
function seen(flow: FlowJson): string {
  const point = flow.trace_observation_point?.toLowerCase().replace("_", "-");
  return `${flow.interface?.name} ${point} ${flow.is_reply ? "reply" : "request"} ${flow.Summary}`;
}

testWith(NEEDS, "hubble observe shows live UDP, TCP, ICMP, DNS and HTTP with points, arrows and flags", async (t) => {
  await using lab = await createLab();
  const [client, server] = lab.pods;
  await using _server = await serve(server.namespace);
  await using _agent = await startAgent(lab);

  for (const [index, family] of FAMILIES.entries()) {
    await t.step(`UDP over ${family}: one report of each direction at each veth`, async () => {
      const sourcePort = 41_000 + index;
      await sendUdp(client.namespace, { address: server[family], count: 5, sourcePort });
      const flows = await flowsWhere(lab, (flow) => portsOf(flow).includes(sourcePort), 4);
      assert.deepEqual(flows.map(seen), [
        "veth0 from-endpoint request UDP",
        "veth1 to-endpoint request UDP",
        "veth1 from-endpoint reply UDP",
        "veth0 to-endpoint reply UDP",
      ]);
      for (const flow of flows) {
        const [from, to] = flow.is_reply ? [server, client] : [client, server];
        assert.deepEqual(flow.IP, {
          source: from[family],
          destination: to[family],
          ipVersion: family === "ipv4" ? "IPv4" : "IPv6",
        });
        assert.deepEqual(portsOf(flow), flow.is_reply ? [ECHO_PORT, sourcePort] : [sourcePort, ECHO_PORT]);
        assert.equal(flow.node_name, "lab-node");
        assert.equal(flow.verdict, "FORWARDED");
        assert.deepEqual(flow.source?.labels, ["reserved:world"]);
      }
    });

    await t.step(`TCP over ${family}: the handshake, the data and the end, with right flags`, async () => {
      const { sourcePorts: [port] } = await sendTcp(client.namespace, { address: server[family] });
      const flows = await flowsWhere(
        lab,
        (flow) => portsOf(flow).includes(port) && flow.interface?.name === "veth0",
        6,
      );
      const summaries = flows.map(seen);
      assert.deepEqual(summaries.slice(0, 2), [
        "veth0 from-endpoint request TCP Flags: SYN",
        "veth0 to-endpoint reply TCP Flags: SYN, ACK",
      ]);
      assert(summaries.includes("veth0 from-endpoint request TCP Flags: ACK, PSH"), summaries.join("\n"));
      assert(summaries.includes("veth0 from-endpoint request TCP Flags: ACK, FIN"), summaries.join("\n"));
      assert(summaries.includes("veth0 to-endpoint reply TCP Flags: ACK, FIN"), summaries.join("\n"));
      assert.deepEqual(flows[1].l4.TCP.flags, { SYN: true, ACK: true });
    });

    await t.step(`ICMP over ${family}: request and reply`, async () => {
      await ping(client.namespace, lab.pods[2][family]);
      const icmp = (flow: FlowJson) =>
        /ICMP.*Echo/.test(flow.Summary ?? "") && JSON.stringify(flow.IP).includes(lab.pods[2][family]);
      const flows = await flowsWhere(lab, icmp, 4);
      const kind = family === "ipv4" ? "ICMPv4" : "ICMPv6";
      assert.deepEqual(flows.map(seen), [
        `veth0 from-endpoint request ${kind} EchoRequest`,
        `veth2 to-endpoint request ${kind} EchoRequest`,
        `veth2 from-endpoint reply ${kind} EchoReply`,
        `veth0 to-endpoint reply ${kind} EchoReply`,
      ]);
    });

    await t.step(`HTTP over ${family} from outside: seen at the host device and at the pod`, async () => {
      await httpGet(lab.client.namespace, `http://${urlHost(server[family])}/`);
      const ofClient = (flow: FlowJson) => flow.IP.source === lab.client[family] && flow.Summary === "TCP Flags: SYN";
      assert.deepEqual((await flowsWhere(lab, ofClient, 2)).map(seen), [
        "eth0 from-network request TCP Flags: SYN",
        "veth1 to-endpoint request TCP Flags: SYN",
      ]);
    });

    await t.step(`DNS over UDP and ${family}`, async () => {
      await dnsQuery(client.namespace, { server: server[family], name: "web.example" });
      const dns = (flow: FlowJson) =>
        portsOf(flow).includes(53) && flow.interface?.name === "veth0" &&
        JSON.stringify(flow.IP).includes(server[family]);
      assert.deepEqual((await flowsWhere(lab, dns, 2)).map(seen), [
        "veth0 from-endpoint request UDP",
        "veth0 to-endpoint reply UDP",
      ]);
    });
  }

  await t.step("compact, dict and table print the same flows", () => printsFlows(lab, client, server));
  await t.step("status", () => printsStatus(lab));
  await t.step("--first, --last, --since, --until", () => selects(lab));
});

async function printsFlows(lab: Lab, client: LabHost, server: LabHost): Promise<void> {
  const all = async (output: string) => (await hubble(lab.node, ["observe", "--all", "-o", output, ...QUIET])).stdout;
  const compact = await all("compact");
  const [one, two] = [client.ipv4, server.ipv4].map((address) => address.replaceAll(".", "\\."));
  assert.match(
    compact,
    new RegExp(`: ${one}:41000 \\(world\\) -> ${two}:7 \\(world\\) from-endpoint FORWARDED \\(UDP\\)\n`),
  );
  assert.match(
    compact,
    new RegExp(`: ${one}:41000 \\(world\\) <- ${two}:7 \\(world\\) to-endpoint FORWARDED \\(UDP\\)\n`),
  );
  assert.match(
    compact,
    /\[fd00:244::10\]:41001 \(world\) -> \[fd00:244::11\]:7 \(world\) to-endpoint FORWARDED \(UDP\)\n/,
  );
  assert.match(compact, /-> 10\.244\.0\.12 \(world\) to-endpoint FORWARDED \(ICMPv4 EchoRequest\)\n/);
  // The table shows neither identities nor arrows, and the reply's two ends as they are in its packet.
  const table = await all("table");
  assert.match(table, /^TIMESTAMP\s+SOURCE\s+DESTINATION\s+TYPE\s+VERDICT\s+SUMMARY\n/);
  assert.match(table, new RegExp(`\\s${one}:41000\\s+${two}:7\\s+from-endpoint\\s+FORWARDED\\s+UDP\n`));
  assert.match(table, new RegExp(`\\s${two}:7\\s+${one}:41000\\s+to-endpoint\\s+FORWARDED\\s+UDP\n`));
  const dict = await all("dict");
  assert.match(dict, new RegExp(`SOURCE: ${one}:41000\n *DESTINATION: ${two}:7\n *TYPE: from-endpoint\n`));
  // Every format shows the same flows: one line, one row, one block each.
  const lines = compact.trim().split("\n").length;
  assert.equal(table.trim().split("\n").length - 1, lines);
  assert.equal(dict.trim().split("------------").length, lines);
}

async function printsStatus(lab: Lab): Promise<void> {
  const { stdout } = await hubble(lab.node, ["status"]);
  assert.match(stdout, /^Healthcheck \(via 127\.0\.0\.1:4244\): Ok\n/);
  assert.match(stdout, /^Current\/Max Flows: \d+\/65,536 \(\d+\.\d+%\)\n/m);
  assert.match(stdout, /^Flows\/s: \d+\.\d+\n/m);
  const json = JSON.parse((await hubble(lab.node, ["status", "-o", "json"])).stdout);
  assert.equal(json.max_flows, "65536");
  assert.equal(json.num_flows, json.seen_flows);
}

async function selects(lab: Lab): Promise<void> {
  const ask = async (...args: string[]) =>
    flowsOf(await hubble(lab.node, ["observe", "-o", "json", ...QUIET, ...args]));
  const all = await ask("--all");
  const uuids = (flows: FlowJson[]) => flows.map((flow) => flow.uuid);
  assert(all.length > 20);
  assert.equal(new Set(uuids(all)).size, all.length);
  assert.deepEqual(uuids(await ask("--first", "5")), uuids(all.slice(0, 5)));
  assert.deepEqual(uuids(await ask("--last", "5")), uuids(all.slice(-5)));
  assert.deepEqual(uuids(await ask()), uuids(all.slice(-20)));
  const middle = all[Math.floor(all.length / 2)].time;
  const since = await ask("--since", middle);
  assert.deepEqual(uuids(since), uuids(all.filter((flow) => flow.time >= middle)));
  const until = await ask("--since", all[0].time, "--until", middle);
  assert.deepEqual(uuids(until), uuids(all.filter((flow) => flow.time <= middle)));
}

testWith(NEEDS, "hubble observe --follow shows flows as they happen, and history with --last", async () => {
  await using lab = await createLab();
  const [client, server] = lab.pods;
  await using _server = await serve(server.namespace);
  await using _agent = await startAgent(lab);
  await sendUdp(client.namespace, { address: server.ipv4, count: 1, sourcePort: 42_000 });
  await flowsWhere(lab, (flow) => portsOf(flow).includes(42_000), 4);

  // UDP alone: a neighbour solicitation that comes late would push it out of a history of two flows.
  const follow = (...args: string[]) =>
    lab.node.start(
      toolPath("hubble"),
      ["observe", "--follow", "--protocol", "udp", "-o", "json", "--server", "127.0.0.1:4244", ...args],
      { env: CLI_ENV },
    );
  await using onlyNew = follow();
  await using withHistory = follow("--last", "2");
  const port = (line: string, number: number) => line.includes(`_port":${number}`);
  await withHistory.waitForLine((line) => port(line, 42_000), { timeoutMs: 30_000 });
  // A stream without history says nothing until something happens: send until it has begun to listen.
  for (let index = 1; onlyNew.lines.length === 0; index++) {
    assert(index < 50, "the follower printed nothing");
    await sendUdp(client.namespace, { address: server.ipv4, count: 1, sourcePort: 42_000 + index });
  }
  await sendUdp(client.namespace, { address: server.ipv6, count: 1, sourcePort: 42_999 });
  for (const stream of [onlyNew, withHistory]) {
    await stream.waitForLine((line) => port(line, 42_999), { timeoutMs: 30_000 });
  }
  assert(!onlyNew.lines.some((line) => port(line, 42_000)));
  assert.equal(withHistory.lines.filter((line) => port(line, 42_000)).length, 2);
});

testWith(NEEDS, "hubble observe shows and filters live flows by the names of an identity file", async () => {
  await using lab = await createLab();
  await using identities = await writeIdentityFile(lab);
  const [web, api, worker] = lab.pods;
  await using _server = await serve(web.namespace);
  await using _agent = await startAgent(lab, { args: ["--identities", identities.path] });
  for (const family of FAMILIES) {
    await sendUdp(api.namespace, { address: web[family], count: 1, sourcePort: 44_001 });
    await sendUdp(worker.namespace, { address: web[family], count: 1, sourcePort: 44_002 });
  }
  await flowsWhere(lab, (flow) => portsOf(flow).some((port) => port === 44_001 || port === 44_002), 16);
  const observe = async (...args: string[]) =>
    flowsOf(await hubble(lab.node, ["observe", "--all", "-o", "json", "--port", "44001", "--port", "44002", ...args]));
  assert.equal((await observe()).length, 16);
  const selections = [
    ["--from-pod", "shop/worker"],
    ["--from-label", "app=worker"],
    ["--from-workload", "Deployment/worker"],
    ["--from-ip", worker.ipv4, "--from-ip", worker.ipv6],
    ["--to-pod", "shop/web", "--not", "--label", "app=api"],
  ];
  for (const args of selections) {
    const flows = await observe(...args);
    const ends = flows.map(({ source, destination }) => `${source?.pod_name} ${destination?.pod_name}`);
    // Two families, each seen at both veths.
    assert.deepEqual(ends, Array(4).fill("worker-0 web-0"), args.join(" "));
  }
  const compact = (await hubble(lab.node, ["observe", "--last", "1", "--pod", "shop/api"])).stdout;
  assert.match(compact, /: shop\/api-0:44001 \(ID:\d+\) <- shop\/web-0:7 \(ID:\d+\) to-endpoint FORWARDED \(UDP\)\n$/);
  const namespaces = JSON.parse((await hubble(lab.node, ["list", "namespaces", "-o", "json"])).stdout);
  assert.match(JSON.stringify(namespaces), /"namespace":"shop"/);
});
