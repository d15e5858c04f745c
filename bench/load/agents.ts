/**
 * Agents' connections to one operator. One alone decodes what it reads and measures the lag; of several each only counts
 * bytes, so that the machine is the operator's. Prints a line of JSON when every stream is complete, and one when its
 * standard input ends.
 *
 *     deno run --allow-net bench/load/agents.ts PORT COUNT
 *
 * The lag is taken from changes to pods that are called `lag-MILLISECONDS`.
 */
import { connect } from "node:http2";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { IpCacheBatchSchema, IpCacheRequestSchema } from "../../proto/gen/ipcache/ipcache_pb.ts";
import { streamMessages } from "../../src/identity/grpc_stream.ts";

const [port, count] = Deno.args.map(Number);
const url = `http://127.0.0.1:${port}`;
const path = "/ipcache.IpCache/StreamIpCacheUpdates";
const request = toBinary(IpCacheRequestSchema, create(IpCacheRequestSchema, { nodeName: "bench", protocolVersion: 1 }));
const framed = new Uint8Array(5 + request.length);
framed[4] = request.length;
framed.set(request, 5);

let bytes = 0, synced = 0, changes = 0;
const lags: number[] = [];
const stop = new AbortController();

function countBytes(): Promise<void> {
  return new Promise((resolve) => {
    const session = connect(url);
    session.on("error", () => {});
    const headers = { ":method": "POST", ":path": path, "content-type": "application/grpc", te: "trailers" };
    const stream = session.request({ ...headers, "grpc-accept-encoding": "gzip" });
    stream.on("error", () => {});
    stream.once("data", () => resolve());
    stream.on("data", (chunk: Uint8Array) => bytes += chunk.length);
    stream.end(framed);
    stop.signal.addEventListener("abort", () => session.destroy());
  });
}

async function measure(done: (ms: number) => void): Promise<void> {
  const began = performance.now();
  const options = { url, path, request, tls: {}, connectMs: 5000, pingMs: 30_000, maxMessage: 1 << 26 };
  for await (const message of streamMessages({ ...options, signal: stop.signal })) {
    bytes += message.length;
    for (const { updateType, podName } of fromBinary(IpCacheBatchSchema, message).updates) {
      if (updateType === 2 && synced++ === 0) done(performance.now() - began);
      if (synced === 0) continue;
      changes++;
      if (podName.startsWith("lag-")) lags.push(Date.now() - Number(podName.split("-")[1]));
    }
  }
}

let firstSync = 0;
if (count === 1) firstSync = await new Promise<number>((resolve) => void measure(resolve).catch(() => {}));
for (let i = 0; count > 1 && i < count; i += 50) {
  await Promise.all(Array.from({ length: Math.min(50, count - i) }, countBytes));
}
for (let before = -1; before !== bytes;) {
  before = bytes;
  await new Promise((resolve) => setTimeout(resolve, 1000));
}
console.log(JSON.stringify({ firstSync, bytes }));
bytes = changes = 0;
lags.length = 0;
for await (const _ of Deno.stdin.readable) { /* until the end */ }
lags.sort((a, b) => a - b);
const at = (q: number) => lags[Math.min(lags.length - 1, Math.floor(q * lags.length))];
console.log(JSON.stringify({ bytes, changes, p50: at(0.5), p99: at(0.99), max: at(1) }));
stop.abort();
Deno.exit(0);
