/**
 * An operator that knows so many pods, for as long as its standard input is open. Their addresses are spread over
 * 198.18.0.0/15, where the flood goes, so that flows carry their names.
 *
 *     names.ts PORT COUNT      prints `serving`
 */
import { createServer, type ServerHttp2Stream } from "node:http2";
import { create, toBinary } from "@bufbuild/protobuf";
import { BatchKind, IpCacheBatchSchema, IpCacheUpdate_UpdateType } from "../../proto/gen/ipcache/ipcache_pb.ts";

/** Addresses of 198.18.0.0/15. */
const ADDRESSES = 1 << 17;
const BATCH = 500;
const PREFIX = 5;

const [port, count] = Deno.args.map(Number);
if (!(port > 0 && count > 0 && count <= ADDRESSES)) {
  throw new RangeError(`Cannot serve "${Deno.args.join(" ")}": expected PORT COUNT, with at most ${ADDRESSES} names`);
}

/** Ten pods share their labels, as those of a Deployment do. */
function pod(n: number) {
  const address = n * Math.floor(ADDRESSES / count);
  const app = `app-${Math.floor(n / 10)}`, namespace = `team-${Math.floor(n / 10) % 200}`;
  return {
    ip: `198.${18 + (address >> 16)}.${address >> 8 & 255}.${address & 255}`,
    namespace,
    podName: `${app}-5d4f8c7b9-x${n}`,
    labels: [`k8s:app=${app}`, `k8s:io.kubernetes.pod.namespace=${namespace}`, "k8s:tier=backend"],
    workloads: [{ name: app, kind: "Deployment" }],
    identity: 256 + Math.floor(n / 10),
  };
}

function frame(updates: Parameters<typeof create<typeof IpCacheBatchSchema>>[1] & object): Uint8Array {
  const batch = { protocolVersion: 1, epoch: 1n, revision: 1n, ...updates };
  const message = toBinary(IpCacheBatchSchema, create(IpCacheBatchSchema, batch));
  const bytes = new Uint8Array(PREFIX + message.length);
  new DataView(bytes.buffer).setUint32(1, message.length);
  bytes.set(message, PREFIX);
  return bytes;
}

const server = createServer();
server.on("stream", (stream: ServerHttp2Stream) => {
  stream.on("error", () => {});
  stream.respond({ ":status": 200, "content-type": "application/grpc" });
  for (let from = 0; from < count; from += BATCH) {
    const updates = Array.from({ length: Math.min(BATCH, count - from) }, (_, k) => pod(from + k));
    stream.write(frame({ kind: BatchKind.SNAPSHOT, updates }));
  }
  stream.write(frame({ updates: [{ updateType: IpCacheUpdate_UpdateType.SYNC_COMPLETE }] }));
});
server.listen(port, "127.0.0.1", () => console.log("serving"));

for await (const _ of Deno.stdin.readable);
Deno.exit(0);
