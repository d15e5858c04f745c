import assert from "node:assert/strict";
import { fromBinary } from "@bufbuild/protobuf";
import { ChangeNotificationSchema, Peer } from "../../proto/gen/peer/peer_pb.ts";
import { createServer, type ServerHttp2Stream } from "node:http2";
import type { AddressInfo } from "node:net";
import { openSession, rawCall } from "../../tests/interop/raw_call.ts";
import { GrpcRouter } from "./grpc/router.ts";
import { fixedPeers, type PeerChange, type PeerNode, type PeerSource, registerPeer, tlsServerName } from "./peer.ts";

/** What a client is told until it has `count` notifications; `changes` are made after it has the first `after`. */
async function notified(
  source: PeerSource,
  count: number,
  after = Infinity,
  change: () => void = () => {},
): Promise<string[]> {
  const router = new GrpcRouter({ maxMessageBytes: 100, headers: {} });
  registerPeer(router, source);
  const server = createServer();
  server.on("stream", (stream, headers) => router.serve(stream as ServerHttp2Stream, headers));
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const session = await openSession(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
  let bytes = 0;
  const answer = await rawCall(session, `/${Peer.typeName}/${Peer.method.notify.name}`, undefined, {
    with(stream) {
      stream.on("data", (chunk: Uint8Array) => {
        bytes += chunk.length;
        if (after === 0) change();
        else if (--after === 0) change();
        // Each notification is written for itself, and small enough to arrive so.
        if (--count === 0) stream.close(8);
      });
      if (count === 0) stream.once("response", () => stream.close(8));
    },
  });
  session.destroy();
  await new Promise((resolve) => server.close(resolve));
  return answer.messages.map((message) => {
    const { name, address, type, tls } = fromBinary(ChangeNotificationSchema, message);
    return `${["?", "+", "-", "*"][type]} ${name} ${address}${tls ? ` ${tls.serverName}` : ""}`;
  });
}

/** A source whose changes the test makes. */
function changing(peers: PeerNode[]): PeerSource & { change(change: PeerChange): void; readonly listeners: number } {
  const listeners = new Set<(change: PeerChange) => void>();
  return {
    current: () => peers,
    subscribe(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    change: (change) => listeners.forEach((listener) => listener(change)),
    get listeners() {
      return listeners.size;
    },
  };
}

const a: PeerNode = { name: "a", address: "10.0.0.1:4244" };
const b: PeerNode = { name: "b", address: "[fd00::2]:4244", tlsServerName: "b.default.hubble-grpc.cilium.io" };

Deno.test("Peer.Notify announces all peers first", async () => {
  assert.deepEqual(await notified(fixedPeers([a, b]), 2), [
    "+ a 10.0.0.1:4244",
    "+ b [fd00::2]:4244 b.default.hubble-grpc.cilium.io",
  ]);
});

Deno.test("Peer.Notify tells what changes mean to a relay", async () => {
  const source = changing([a]);
  const moved = { ...a, address: "10.0.0.9:4244" };
  const notifications = await notified(source, 6, 1, () => {
    source.change({ new: b });
    source.change({ old: a, new: { ...a } });
    source.change({ old: a, new: moved });
    source.change({ old: moved, new: { ...moved, name: "c" } });
    source.change({ old: b });
  });
  assert.deepEqual(notifications.map((text) => text.slice(0, 17)), [
    "+ a 10.0.0.1:4244",
    "+ b [fd00::2]:424",
    "* a 10.0.0.9:4244",
    "- a 10.0.0.9:4244",
    "+ c 10.0.0.9:4244",
    "- b [fd00::2]:424",
  ]);
  for (let i = 0; i < 4000 && source.listeners > 0; i++) await new Promise((resolve) => setTimeout(resolve, 5));
  assert.equal(source.listeners, 0);
});

Deno.test("tlsServerName() replaces dots, and names the default cluster", () => {
  assert.equal(tlsServerName("node.example"), "node-example.default.hubble-grpc.cilium.io");
  assert.equal(tlsServerName("n", "my.cluster"), "n.my-cluster.hubble-grpc.cilium.io");
  assert.equal(tlsServerName("n", ""), "n.default.hubble-grpc.cilium.io");
});
