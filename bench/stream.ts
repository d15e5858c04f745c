/**
 * How fast flows leave the agent, against the ordinary streaming of connect-node and grpc-js with the same flows, and against
 * frames that were encoded before.
 *
 *     deno run -A bench/stream.ts [--flows N] [--baseline-flows N]
 *
 * Server and client are processes of their own. The client is tests/tools/streamclient (`deno task build:tools`): `grpc` is grpc-go
 * that keeps messages as bytes, `count` reads HTTP/2 frames and counts the gRPC messages in them. The server holds the flows in its
 * store and answers `--all`. "CPU" is the processor time of the server for one flow looked at.
 */
import { create, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import { parseArgs } from "node:util";
import { GetFlowsRequestSchema } from "../proto/gen/observer/observer_pb.ts";
import { run } from "../scripts/process.ts";
import { toolPath } from "../scripts/tools.ts";
import { startFlowServer } from "../tests/interop/flow_server.ts";
import { cpuSeconds } from "./load/measure.ts";

const { values } = parseArgs({
  options: {
    flows: { type: "string", default: String(2 ** 20) },
    "baseline-flows": { type: "string", default: String(2 ** 16) },
  },
});
const flows = Number(values.flows);
const baselineFlows = Number(values["baseline-flows"]);

/** The field mask that the Hubble CLI sends unless it prints JSON. */
const CLI_MASK = {
  paths: [
    ...["time", "verdict", "ethernet", "IP", "l4", "Type", "node_name", "l7", "event_type", "source_service"],
    ...["source.identity", "source.namespace", "source.pod_name", "destination_service", "is_reply", "Summary"],
    ...["destination.identity", "destination.namespace", "destination.pod_name", "ip_trace_id"],
  ],
};

type Request = MessageInitShape<typeof GetFlowsRequestSchema>;

interface Result {
  readonly messages: number;
  readonly bytes: number;
  readonly seconds: number;
}

/** Reads a whole answer `clients` times at once. */
async function read(mode: "grpc" | "count", port: number, request: Request, clients: number): Promise<Result> {
  const message = toBinary(GetFlowsRequestSchema, create(GetFlowsRequestSchema, request)).toHex();
  const args = ["-mode", mode, "-address", `127.0.0.1:${port}`, "-request", message, "-streams", `${clients}`];
  return JSON.parse((await run(toolPath("streamclient"), args, { timeoutMs: 300_000 })).stdout);
}

const rates = new Map<string, number>();

/** Measures one line of the table. `stored` is how many flows the server looks at for each client. */
async function measure(
  name: string,
  server: { port: number; pid: number },
  mode: "grpc" | "count",
  request: Request,
  clients: number,
  stored: number,
): Promise<void> {
  const before = cpuSeconds(server.pid);
  const { messages, bytes, seconds } = await read(mode, server.port, request, clients);
  const cpu = (cpuSeconds(server.pid) - before) / (stored * clients);
  const rate = messages / seconds;
  rates.set(`${name} ${mode} ${clients}`, rate);
  console.log([
    name.padEnd(34),
    mode.padEnd(6),
    String(clients).padStart(7),
    Math.round(rate).toLocaleString("en").padStart(12),
    (bytes / seconds / 1e6).toFixed(0).padStart(6),
    (messages === 0 ? 0 : bytes / messages).toFixed(0).padStart(6),
    (cpu * 1e9).toFixed(0).padStart(8),
    (seconds * 1000).toFixed(0).padStart(8),
  ].join("  "));
}

console.log("server and request                  client  clients       flows/s    MB/s  B/flow   CPU ns        ms");
{
  await using server = await startFlowServer({ capacity: 2 ** Math.ceil(Math.log2(flows)), flows });
  const few = Math.max(1, Math.floor(flows / 8));
  for (const mode of ["grpc", "count"] as const) {
    // The first answer compiles the code and fills the caches.
    await read(mode, server.port, { number: 65_536n }, 1);
    await measure("agent, all fields", server, mode, {}, 1, flows);
    await measure("agent, all fields", server, mode, { number: BigInt(few), first: true }, 20, few);
    await measure("agent, fields of the CLI", server, mode, { fieldMask: CLI_MASK }, 1, flows);
    await measure("agent, port 443 (1 in 4)", server, mode, { whitelist: [{ destinationPort: ["443"] }] }, 1, flows);
    await measure(
      "agent, pod prefix and TCP (no match)",
      server,
      mode,
      {
        whitelist: [{ sourcePod: ["no-such/pod"], protocol: ["tcp"] }],
      },
      1,
      flows,
    );
    await measure("agent, --last 65536", server, mode, { number: 65_536n }, 1, 65_536);
  }
}
for (const [kind, count] of [["ready", flows], ["connect", baselineFlows], ["grpc-js", baselineFlows]] as const) {
  const child = new Deno.Command(Deno.execPath(), {
    args: [
      "run",
      "--no-check",
      "-A",
      new URL("load/stream_baselines.ts", import.meta.url).pathname,
      kind,
      `${count}`,
    ],
    stdin: "piped",
    stdout: "piped",
  }).spawn();
  const { value } = await child.stdout.pipeThrough(new TextDecoderStream()).values().next();
  const server = { port: Number(value), pid: child.pid };
  await read("count", server.port, {}, 1);
  for (const mode of ["grpc", "count"] as const) {
    for (const clients of kind === "ready" ? [1] : [1, 20]) await measure(kind, server, mode, {}, clients, count);
  }
  child.kill();
  await child.stdin.close().catch(() => {});
  await child.status;
}

/** How much faster the agent is than a baseline, for each client that both were measured with. */
for (const baseline of ["ready", "connect", "grpc-js"]) {
  const ratios = [...rates].flatMap(([key, rate]) => {
    const [, client] = new RegExp(`^${baseline} (.*)$`).exec(key) ?? [];
    const agent = rates.get(`agent, all fields ${client}`);
    return client === undefined || agent === undefined ? [] : [`${client} ×${(agent / rate).toFixed(1)}`];
  });
  console.log(`agent against ${baseline}: ${ratios.join(", ")}`);
}
