/** Hubble Relay in front of two replaying agents on two nodes: one ordered stream, node status, TLS names. */
import assert from "node:assert/strict";
import { toolPath } from "../../scripts/tools.ts";
import type { Running } from "../../scripts/process.ts";
import { type AgentProcess, startAgent } from "../lab/agent.ts";
import { createLab, type Lab, type LabHost } from "../lab/lab.ts";
import { lab as needsLab, program, testWith } from "../lab/need.ts";
import type { PeerNode } from "../../src/hubble/peer.ts";
import { withCertificates } from "./certificates.ts";
import { type FlowLine, flowLines, toJsonLines } from "./fixture.ts";
import { cli, CLI_ENV, flowsOf, relay } from "./hubble.ts";

// Relay sorts at most 100 flows at a time, so neither node may have more, or a slow one comes out of order.
const COUNT = 190;
const NODES = ["node-a", "node-b"] as const;

interface Setting {
  readonly lab: Lab;
  readonly folder: string;
  readonly agents: readonly AgentProcess[];
  /** Runs the CLI against Relay. */
  hubble(...args: string[]): ReturnType<Lab["node"]["run"]>;
}

/** Every second flow on one node, the others on the other, under the names that Relay is to show. */
function flowsOfNode(index: number): FlowLine[] {
  return flowLines(COUNT).filter((_, number) => number % 2 === index).map((line) => ({
    ...line,
    node_name: NODES[index],
    flow: { ...line.flow, node_name: NODES[index] },
  }));
}

interface Security {
  /** The agents' flags; Relay's flags; the name that each node's certificate carries. */
  readonly agent: readonly string[];
  readonly relay: readonly string[];
  readonly serverName: (node: string) => string | undefined;
}

const PLAIN: Security = { agent: [], relay: ["--disable-client-tls"], serverName: () => undefined };

/** Two agents in two pods' namespaces, which stand for nodes here; Relay and the CLI in the lab's node. */
async function withRelay(security: Security, body: (setting: Setting) => Promise<void>): Promise<void> {
  await using stack = new AsyncDisposableStack();
  const folder = await Deno.makeTempDir({ prefix: "relay-" });
  stack.defer(() => Deno.remove(folder, { recursive: true }));
  const lab = stack.use(await createLab({ pods: 2 }));
  const hosts: readonly LabHost[] = lab.pods;
  const agents: AgentProcess[] = [];
  for (const [index, host] of hosts.entries()) {
    const file = `${folder}/${NODES[index]}.jsonl`;
    await Deno.writeTextFile(file, toJsonLines(flowsOfNode(index)));
    const args = ["--node-name", NODES[index], ...security.agent];
    agents.push(stack.use(await startAgent(lab, { replay: file, namespace: host.namespace, args })));
  }
  // One node is reached over IPv4, the other over IPv6.
  const peers = NODES.map((name, index): PeerNode => {
    const tlsServerName = security.serverName(name);
    const address = index === 0 ? `${hosts[index].ipv4}:4244` : `[${hosts[index].ipv6}]:4244`;
    return { name, address, ...(tlsServerName === undefined ? {} : { tlsServerName }) };
  });
  const socket = `${folder}/peer.sock`;
  const service = new URL("peer_service.ts", import.meta.url).pathname;
  const permissions = ["--allow-net", "--allow-read", "--allow-write", "--allow-env", "--allow-sys"];
  const peerService = stack.use(lab.node.startDeno([...permissions, service, socket, JSON.stringify(peers)]));
  await peerService.waitForLine((line) => line === "ready");
  const relayProcess = stack.use(lab.node.start(toolPath("hubble-relay"), [
    "serve",
    "--disable-server-tls",
    "--gops=false",
    "--peer-service",
    `unix://${socket}`,
    ...security.relay,
  ]));
  const hubble: Setting["hubble"] = (...args) =>
    lab.node.run(toolPath("hubble"), [...args, "--server", "127.0.0.1:4245"], { env: CLI_ENV });
  await connected(relayProcess, hubble);
  await body({ lab, folder, agents, hubble });
}

/** Relay looks at its peers every few seconds. */
async function connected(relayProcess: Running, hubble: Setting["hubble"]): Promise<void> {
  let said = "";
  for (const end = performance.now() + 30_000; performance.now() < end;) {
    said = await hubble("status").then((output) => output.stdout, (error: Error) => error.message);
    if (/^Connected Nodes: 2\/2$/m.test(said)) return;
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
  throw new Error(
    `Relay did not connect to both nodes:\n${said}\n${relayProcess.lines.join("\n")}\n${relayProcess.stderr()}`,
  );
}

async function showsBothNodes({ hubble }: Setting): Promise<void> {
  const status = (await hubble("status")).stdout;
  assert.match(status, /^Healthcheck \(via 127\.0\.0\.1:4245\): Ok$/m);
  assert.match(status, /^Current\/Max Flows: 190\/131,072 /m);
  const nodes = (await hubble("list", "nodes")).stdout.trim().split("\n").slice(1).map((line) =>
    line.split(/\s+/).slice(0, 2)
  );
  assert.deepEqual(nodes, NODES.map((name) => [name, "Connected"]));
}

async function mergesInOrder({ hubble }: Setting): Promise<void> {
  const uuids = (flows: readonly { uuid?: unknown }[]) => flows.map((flow) => flow.uuid);
  const all = flowLines(COUNT).map((line) => line.flow);
  const merged = flowsOf(await hubble("observe", "--all", "-o", "json"));
  assert.deepEqual(uuids(merged), uuids(all));
  assert.deepEqual(merged.map((flow) => flow.node_name), all.map((_, index) => NODES[index % 2]));
  const dropped = flowsOf(await hubble("observe", "--all", "-o", "json", "--verdict", "DROPPED"));
  assert.deepEqual(uuids(dropped), uuids(all.filter((flow) => flow.verdict === "DROPPED")));
  // Relay passes the number on: so many from each node.
  const last = flowsOf(await hubble("observe", "--last", "5", "-o", "json"));
  assert.deepEqual(uuids(last), uuids(all.slice(-10)));
  const compact = (await hubble("observe", "--last", "1", "--print-node-name")).stdout;
  assert.match(compact, /^\w+ +\d+ [\d:.]+ \[node-[ab]\]: /);
}

testWith([needsLab, cli, relay], "Hubble Relay merges two agents' flows in order and shows both nodes", async (t) => {
  await withRelay(PLAIN, async (setting) => {
    await t.step("status and list nodes", () => showsBothNodes(setting));
    await t.step("one ordered stream, filters and numbers", () => mergesInOrder(setting));
    await t.step("an agent that goes is reported, and the other's flows still come", async () => {
      await setting.agents[1].stop();
      const output = await setting.hubble("observe", "--all", "-o", "json");
      assert.deepEqual(new Set(flowsOf(output).map((flow) => flow.node_name)), new Set(["node-a"]));
      assert.match(output.stdout + output.stderr, /node-b/);
    });
  });
}, { timeoutMs: 120_000 });

testWith(
  [needsLab, cli, relay, program("openssl")],
  "Hubble Relay reaches the agents by mutual TLS, by their names",
  async (t) => {
    await withCertificates(async ({ folder }) => {
      const security: Security = {
        agent: [
          ...["--tls-cert-file", `${folder}/server.crt`, "--tls-key-file", `${folder}/server.key`],
          ...["--tls-client-ca-file", `${folder}/ca.crt`],
        ],
        relay: [
          ...[
            "--tls-hubble-client-cert-file",
            `${folder}/client.crt`,
            "--tls-hubble-client-key-file",
            `${folder}/client.key`,
          ],
          ...["--tls-hubble-server-ca-files", `${folder}/ca.crt`],
        ],
        serverName: (node) => `${node}.default.hubble-grpc.cilium.io`,
      };
      await withRelay(security, async (setting) => {
        await t.step("status and list nodes", () => showsBothNodes(setting));
        await t.step("one ordered stream, filters and numbers", () => mergesInOrder(setting));
      });
    });
  },
  { timeoutMs: 120_000 },
);
