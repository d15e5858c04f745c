/**
 * The agent's Hubble server without an agent: synthetic flows in a process of their own, driven over standard input. For tests
 * that look at the memory of the server or must not share its event loop, and for benches.
 *
 * As a program it takes the JSON of {@link FlowServerOptions}, prints the JSON of a status when it serves, and then one after
 * each command, one JSON object a line: `{"push": n}` stores n flows, `{}` nothing.
 */
import process from "node:process";
import { AGENT } from "../../scripts/permissions.ts";
import { TextLineStream } from "./text_lines.ts";
import { EVENT, TcpFlag } from "../../src/flow/record.ts";
import { FlowStore } from "../../src/flow/store.ts";
import { event, v4 } from "../../src/flow/test_support.ts";
import type { RecordContext } from "../../src/flow/view.ts";
import { type HubbleOptions, serveHubble } from "../../src/hubble/server.ts";
import { makeIdentity } from "../../src/identity/make.ts";
import { IdentityTable } from "../../src/identity/table.ts";

/** How to serve. */
export interface FlowServerOptions extends Partial<HubbleOptions> {
  readonly capacity?: number;
  /** Flows to store before serving. */
  readonly flows?: number;
}

/** What the server says about itself. */
export interface FlowServerStatus {
  readonly port: number;
  readonly head: number;
  readonly connections: number;
  readonly streams: number;
  /** Resident memory, in bytes. */
  readonly rss: number;
  /** Processor time used so far, user and system, in milliseconds. */
  readonly cpuMs: number;
}

/** A server process. */
export interface FlowServer extends AsyncDisposable {
  readonly port: number;
  /** Of the process. */
  readonly pid: number;
  push(flows: number): Promise<FlowServerStatus>;
  status(): Promise<FlowServerStatus>;
}

/** Flags of the engine that the agent runs with: its memory is only as small with them. */
const ENGINE_FLAGS = AGENT.filter((flag) => flag.startsWith("--v8-flags"));
const NODE = "bench-node";
/** Different flows that the store is filled with, over and over. */
const SHAPES = 1000;

/** A store, and how to fill it with flows between pods that look like those of a cluster. */
export function syntheticFlows(
  capacity: number,
): { store: FlowStore; record: RecordContext; push(flows: number): void } {
  const identities = new IdentityTable();
  const store = new FlowStore({ capacity, identities });
  const pods = Array.from({ length: 200 }, (_, i) =>
    identities.add(makeIdentity({
      numeric: 1000 + i,
      namespace: `namespace-${i % 4}`,
      pod: `deployment-${i % 20}-6d4cf56db6-x${i}`,
      labels: [`k8s:app=app-${i % 20}`, `k8s:io.kubernetes.pod.namespace=namespace-${i % 4}`],
      workloads: [{ name: `deployment-${i % 20}`, kind: "Deployment" }],
    })));
  const shapes = Array.from({ length: SHAPES }, (_, i) =>
    event({
      ip_version: 4,
      protocol: i % 4 === 0 ? 17 : 6,
      tcp_flags: i % 4 === 0 ? 0 : TcpFlag.ACK | (i % 3 === 0 ? TcpFlag.PSH : 0),
      src_addr: v4(10, 0, i % 4, i % 200),
      dst_addr: v4(10, 0, 9, i % 250),
      src_port: 32768 + i * 13,
      dst_port: [80, 443, 8080, 5432][i % 4],
      bytes: 66 + i,
      ifindex: 3,
      observation_point: i % 4,
      traffic_direction: 1 + i % 2,
      is_reply: i % 2,
      total_packets_tx: i,
      total_bytes_tx: BigInt(i * 500),
      total_packets_rx: i,
      total_bytes_rx: BigInt(i * 700),
    }));
  let next = 0;
  return {
    store,
    record: {
      nodeName: NODE,
      uuidSalt: new Uint8Array(16).fill(7),
      emitter: { name: "Retina", version: "0.0.0" },
      interfaceName: () => "eth0",
    },
    push(flows) {
      const now = Date.now();
      const seconds = Math.floor(now / 1000);
      const nanos = (now % 1000) * 1e6;
      for (let i = 0; i < flows; i++, next++) {
        const words = shapes[next % SHAPES];
        // Port and time tell flows apart.
        words[EVENT.tcp_seq >> 2] = next;
        store.pushRecord(words, 0, words.byteLength, seconds, nanos, pods[next % 200], pods[(next * 7) % 200], 0);
      }
      store.flushBatch();
    },
  };
}

/** Starts a server process, which ends when it is disposed of. */
export async function startFlowServer(options: FlowServerOptions = {}): Promise<FlowServer> {
  const child = new Deno.Command(Deno.execPath(), {
    args: ["run", "--no-check", "-A", ...ENGINE_FLAGS, new URL(import.meta.url).pathname, JSON.stringify(options)],
    stdin: "piped",
    stdout: "piped",
  }).spawn();
  const input = child.stdin.getWriter();
  const output = child.stdout.pipeThrough(new TextLineStream()).getReader();
  const answer = async (): Promise<FlowServerStatus> => {
    const { value } = await output.read();
    if (value === undefined) throw new Error("Flow server ended");
    return JSON.parse(value);
  };
  const command = async (text: string) => {
    await input.write(new TextEncoder().encode(`${text}\n`));
    return await answer();
  };
  const { port } = await answer();
  return {
    port,
    pid: child.pid,
    push: (flows) => command(JSON.stringify({ push: flows })),
    status: () => command("{}"),
    async [Symbol.asyncDispose]() {
      await input.close().catch(() => {});
      await output.cancel();
      await child.status;
    },
  };
}

async function main(): Promise<void> {
  const { capacity = 65_536, flows = 0, ...options }: FlowServerOptions = JSON.parse(Deno.args[0] ?? "{}");
  const { store, record, push } = syntheticFlows(capacity);
  push(flows);
  const server = await serveHubble({ store, record, version: "flow-server" }, {
    address: "127.0.0.1",
    port: 0,
    ...options,
  });
  server.health.serving = true;
  const status = () => {
    const { user, system } = process.cpuUsage();
    console.log(JSON.stringify({
      port: server.port,
      head: store.head,
      connections: server.connections,
      streams: server.streams,
      rss: Deno.memoryUsage().rss,
      cpuMs: (user + system) / 1000,
    }));
  };
  status();
  for await (const line of Deno.stdin.readable.pipeThrough(new TextLineStream())) {
    const { push: count = 0 } = JSON.parse(line);
    // In pieces, as a ring is read: followers get their turns.
    for (let left = count; left > 0; left -= 1000) {
      push(Math.min(left, 1000));
      await new Promise((resolve) => setTimeout(resolve, 0));
    }
    status();
  }
  await server.stop(0);
}

if (import.meta.main) await main();
