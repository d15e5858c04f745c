/**
 * The operator of a large cluster: the test API server holds it, the operator runs as its own process.
 *
 *     deno run -A bench/operator_scale.ts [--pods 100000] [--services 10000] [--nodes 5000] [--agents 500] [--changes 1000] [--seconds 20]
 *
 * Prints the time from the operator's start to its first complete listing, its memory, the time and bytes of a snapshot
 * (encoded in this process from the same objects), and, with as many agents on real sockets as asked for and so many pod
 * changes a second, the CPU and the lag. What 5,000 agents would cost is computed from that and says so.
 */
import { parseArgs } from "node:util";
import { ChangeLog } from "../src/operator/publish/change_log.ts";
import { ClusterState, type Kind } from "../src/operator/state/cluster_state.ts";
import type { Json } from "../src/operator/facts/json.ts";
import { OPERATOR } from "../scripts/permissions.ts";
import { ApiServer } from "../tests/cluster/api_server.ts";
import { type ApiObject, namespace, node, owner, pod, service, slice } from "../tests/cluster/objects.ts";
import { cpuSeconds, residentBytes } from "./load/measure.ts";

const ROOT = new URL("..", import.meta.url).pathname;
const TARGET_AGENTS = 5000;
const MB = 1e6;

const { values } = parseArgs({
  options: {
    pods: { type: "string", default: "100000" },
    services: { type: "string", default: "10000" },
    nodes: { type: "string", default: "5000" },
    agents: { type: "string", default: "500" },
    changes: { type: "string", default: "1000" },
    seconds: { type: "string", default: "20" },
  },
});
const [PODS, SERVICES, NODES, AGENTS, CHANGES, SECONDS] = [
  values.pods,
  values.services,
  values.nodes,
  values.agents,
  values.changes,
  values.seconds,
].map(Number);

function address(base: number, n: number): string {
  return `${base}.${n >> 16 & 255}.${n >> 8 & 255}.${n & 255}`;
}

/** A cluster in which every service has a Deployment of ten pods, in 200 namespaces. */
function* cluster(): Generator<ApiObject> {
  for (let i = 0; i < 200; i++) yield namespace(`team-${i}`, { owner: `group-${i % 20}` });
  for (let i = 0; i < NODES; i++) yield node(`node-${i}`, [address(172, i + 1)]);
  const perService = Math.ceil(PODS / SERVICES);
  for (let i = 0, p = 0; i < SERVICES; i++) {
    const ns = `team-${i % 200}`, app = `app-${i}`;
    const replicaSet = owner("ReplicaSet", ns, `${app}-5d4f8c7b9`, owner("Deployment", ns, app));
    yield replicaSet;
    yield service(ns, app, [address(11, i + 1)]);
    const endpoints: { ip: string; pod: string }[] = [];
    for (let k = 0; k < perService && p < PODS; k++, p++) {
      const name = `${app}-5d4f8c7b9-${k.toString(36).padStart(5, "x")}`;
      const labels = {
        app,
        "app.kubernetes.io/name": app,
        "app.kubernetes.io/part-of": ns,
        tier: "backend",
        "pod-template-hash": "5d4f8c7b9",
      };
      endpoints.push({ ip: address(10, p + 1), pod: name });
      yield pod(ns, name, [address(10, p + 1)], { labels, owner: replicaSet });
    }
    yield slice(ns, app, `${app}-abcde`, endpoints);
  }
}

function measureSnapshot(): void {
  const state = new ClusterState("");
  const began = performance.now();
  for (const one of cluster()) state.store(one.kind as Kind).upsert(one as unknown as Json);
  const built = performance.now();
  state.takeChanges();
  const resolved = performance.now();
  const log = new ChangeLog({ epoch: 1n, entries: state.entries, maxBytes: 1 << 24 });
  const snapshot = log.snapshot();
  const encoded = performance.now();
  const packed = snapshot.frames.reduce((sum, frame) => sum + frame.bytes(true).length, 0);
  const compressed = performance.now();
  const ms = (from: number, to: number) => `${Math.round(to - from)} ms`;
  console.log(`objects made and taken in        ${ms(began, built)}`);
  console.log(`addresses resolved               ${ms(built, resolved)} (${state.entries.size} entries)`);
  console.log(
    `snapshot encoded                 ${ms(resolved, encoded)}, ${snapshot.frames.length} messages, ${
      (snapshot.bytes / MB).toFixed(1)
    } MB`,
  );
  console.log(`snapshot compressed              ${ms(encoded, compressed)}, ${(packed / MB).toFixed(1)} MB`);
}

function freePort(): number {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  return listener.addr.port;
}

async function ready(port: number): Promise<void> {
  for (;;) {
    const answer = await fetch(`http://127.0.0.1:${port}/readyz`).catch(() => undefined);
    await answer?.body?.cancel();
    if (answer?.status === 200) return;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

async function measureOperator(): Promise<void> {
  const folder = await Deno.makeTempDir();
  const api = await ApiServer.start();
  for (const one of cluster()) api.set(one);
  const kubeconfig = await api.writeKubeconfig(`${folder}/kubeconfig`);
  const [grpcPort, debugPort] = [freePort(), freePort()];
  const began = performance.now();
  const flags = [
    "--kubeconfig",
    kubeconfig,
    "--grpc-port",
    grpcPort,
    "--debug-port",
    debugPort,
    "--grpc-address",
    "127.0.0.1",
  ];
  const operator = new Deno.Command(Deno.execPath(), {
    args: ["run", ...OPERATOR, "operator.ts", ...flags.map(String)],
    cwd: ROOT,
    stderr: "null",
  }).spawn();
  try {
    await ready(debugPort);
    console.log(
      `operator: start to listed        ${((performance.now() - began) / 1000).toFixed(1)} s, ${
        cpuSeconds(operator.pid).toFixed(1)
      } s of CPU`,
    );
    console.log(`operator: memory after listing   ${Math.round(residentBytes(operator.pid) / MB)} MB`);
    const alone = await withAgents(1, api, operator.pid, grpcPort);
    const many = await withAgents(AGENTS, api, operator.pid, grpcPort);
    const each = (many - alone) / (AGENTS - 1);
    const computed = alone + each * (TARGET_AGENTS - 1);
    console.log(
      `computed for ${TARGET_AGENTS} agents         ${(100 * computed).toFixed(0)} % of a core ` +
        `(${(100 * alone).toFixed(0)} % with one agent, ${
          (each * 1e6).toFixed(0)
        } µs of CPU a second for each further one)`,
    );
  } finally {
    operator.kill("SIGTERM");
    await operator.status;
    await api.stop();
    await Deno.remove(folder, { recursive: true });
  }
}

/** Agents in a process of their own. */
async function connectAgents(count: number, port: number) {
  const child = new Deno.Command(Deno.execPath(), {
    args: ["run", "--allow-all", "bench/load/agents.ts", String(port), String(count)],
    cwd: ROOT,
    stdin: "piped",
    stdout: "piped",
  }).spawn();
  const lines = child.stdout.pipeThrough(new TextDecoderStream()).getReader();
  const first = JSON.parse((await lines.read()).value!);
  return {
    firstSync: first.firstSync as number,
    async stop() {
      await child.stdin.close();
      const result = JSON.parse((await lines.read()).value!);
      await child.status;
      return result as { bytes: number; changes: number; p50: number; p99: number; max: number };
    },
  };
}

/** Connects so many agents and changes pods; gives the operator's share of a core. */
async function withAgents(count: number, api: ApiServer, pid: number, port: number): Promise<number> {
  console.log(`with ${count} agents`);
  const others = count > 1 ? await connectAgents(count - 1, port) : undefined;
  const measuring = await connectAgents(1, port);
  console.log(`  connect to complete            ${Math.round(measuring.firstSync)} ms`);
  const cpu = cpuSeconds(pid);
  const { sent, seconds } = await changePods(api);
  await new Promise((resolve) => setTimeout(resolve, 1000));
  const share = (cpuSeconds(pid) - cpu) / seconds;
  const result = await measuring.stop();
  const counted = await others?.stop();
  console.log(
    `  changes                        ${
      Math.round(sent / seconds)
    } pods/s, ${result.changes} updates at the measuring agent`,
  );
  console.log(`  lag from API event to agent    p50 ${result.p50} ms, p99 ${result.p99} ms, max ${result.max} ms`);
  if (counted) {
    console.log(
      `  bytes to each agent            ${(counted.bytes / (count - 1) / seconds / 1000).toFixed(1)} kB/s, compressed`,
    );
  }
  console.log(
    `  operator                       ${(100 * share).toFixed(0)} % of a core, ${
      Math.round(residentBytes(pid) / MB)
    } MB`,
  );
  return share;
}

/** Replaces pods, each by another with the same address. */
async function changePods(api: ApiServer): Promise<{ sent: number; seconds: number }> {
  const began = performance.now();
  let sent = 0;
  while (performance.now() - began < SECONDS * 1000) {
    const due = Math.floor((performance.now() - began) / 1000 * CHANGES);
    for (; sent < due; sent++) {
      const n = sent % Math.min(PODS, 20_000);
      api.delete(`Pod load/${previous.get(n) ?? ""}`);
      const name = `lag-${Date.now()}-${sent}`;
      previous.set(n, name);
      api.set(pod("load", name, [address(12, n + 1)], { labels: { app: `load-${n % 50}` } }));
    }
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  return { sent, seconds: (performance.now() - began) / 1000 };
}

const previous = new Map<number, string>();

console.log(
  `${PODS} pods, ${SERVICES} services, ${NODES} nodes; ${AGENTS} agents on sockets, ${TARGET_AGENTS} computed`,
);
measureSnapshot();
await measureOperator();
