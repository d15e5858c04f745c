import assert from "node:assert/strict";
import { createServer, type ServerHttp2Stream } from "node:http2";
import type { AddressInfo } from "node:net";
import { create, toBinary } from "@bufbuild/protobuf";
import { IpCacheBatchSchema, IpCacheUpdate_UpdateType as UpdateType } from "../../proto/gen/ipcache/ipcache_pb.ts";
import { Backoff } from "./backoff.ts";
import { ClusterNodes } from "./cluster_nodes.ts";
import { IpCache } from "./ip_cache.ts";
import { OperatorSource, operatorUrl } from "./operator_source.ts";
import { IdentityTable } from "./table.ts";

Deno.test("operatorUrl() takes host and port, with or without a scheme", () => {
  assert.equal(operatorUrl("operator:9090"), "http://operator:9090");
  assert.equal(operatorUrl("http://10.0.0.1:9090"), "http://10.0.0.1:9090");
  assert.equal(operatorUrl("https://[fd00::1]:9090/"), "https://[fd00::1]:9090");
  for (
    const bad of ["", "http://", "ftp://a:1", "a b:1", "a:99999", "http://a:1/path", "http://u@a:1", "http://a:1?x"]
  ) {
    assert.throws(() => operatorUrl(bad), SyntaxError, bad);
  }
});

/** Frames of a batch with one pod, complete. */
function frames(protocolVersion: number): Uint8Array {
  const updates = [{ ip: "10.0.0.1", podName: "a", namespace: "ns", identity: 300 }, {
    updateType: UpdateType.SYNC_COMPLETE,
  }];
  const message = toBinary(
    IpCacheBatchSchema,
    create(IpCacheBatchSchema, { protocolVersion, epoch: 1n, revision: 1n, updates }),
  );
  const out = new Uint8Array(5 + message.length);
  out[4] = message.length;
  out.set(message, 5);
  return out;
}

/** An operator that answers every stream as told, and an agent that connects to it. */
async function withOperator(
  serve: (stream: ServerHttp2Stream, attempt: number) => void,
  test: (
    source: OperatorSource,
    cache: IpCache,
    messages: string[],
    until: (check: () => boolean) => Promise<void>,
  ) => Promise<void>,
): Promise<void> {
  const server = createServer();
  const sessions = new Set<{ destroy(): void }>();
  let attempts = 0;
  server.on("session", (session) => sessions.add(session));
  server.on("stream", (stream) => {
    stream.on("error", () => {});
    serve(stream as ServerHttp2Stream, ++attempts);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const cache = new IpCache(new IdentityTable());
  const messages: string[] = [];
  const source = new OperatorSource({
    address: `127.0.0.1:${(server.address() as AddressInfo).port}`,
    nodeName: "node-1",
    cache,
    nodes: new ClusterNodes(),
    report: (_level, message) => void messages.push(message),
    backoff: new class extends Backoff {
      override next() {
        return 10;
      }
    }(),
  });
  const until = async (check: () => boolean) => {
    for (let i = 0; i < 500 && !check(); i++) await new Promise((resolve) => setTimeout(resolve, 10));
    assert.ok(check(), messages.join("\n"));
  };
  try {
    source.start();
    await test(source, cache, messages, until);
  } finally {
    await source.stop();
    for (const session of sessions) session.destroy();
    await new Promise<void>((resolve) => server.close(() => resolve()));
  }
}

Deno.test("OperatorSource goes on with an operator of another version, and says so once", async () => {
  await withOperator((stream, attempt) => {
    stream.respond({ ":status": 200, "content-type": "application/grpc" });
    stream.write(frames(2));
    if (attempt < 3) stream.end();
  }, async (source, cache, messages, until) => {
    await until(() => source.status().attempts >= 3 && source.status().connected);
    assert.equal(cache.get("10.0.0.1")?.pod, "a");
    assert.equal(source.status().protocolVersion, 2);
    const said = messages.filter((text) =>
      /speaks version 2 of the identity protocol, this agent version 1/.test(text)
    );
    assert.equal(said.length, 1, messages.join("\n"));
  });
});

Deno.test("OperatorSource keeps names when a stream breaks, and says why once", async () => {
  await withOperator((stream, attempt) => {
    if (attempt === 1) {
      stream.respond({ ":status": 200, "content-type": "application/grpc" });
      stream.write(frames(1), () => setTimeout(() => stream.session?.destroy(), 50));
    } else {stream.respond({ ":status": 200, "grpc-status": "14", "grpc-message": "not%20the%20leader" }, {
        endStream: true,
      });}
  }, async (source, cache, messages, until) => {
    await until(() => source.status().attempts >= 5);
    assert.equal(cache.get("10.0.0.1")?.pod, "a");
    const { connected, synced, lastError } = source.status();
    assert.deepEqual([connected, synced, lastError], [false, true, "not the leader"]);
    assert.equal(messages.filter((text) => text.includes("not the leader")).length, 1);
  });
});

Deno.test("OperatorSource survives messages that are none", async () => {
  await withOperator((stream, attempt) => {
    stream.respond({ ":status": 200, "content-type": "application/grpc" });
    stream.write(attempt === 1 ? new Uint8Array([0, 0, 0, 0, 2, 255, 255]) : frames(1));
  }, async (source, cache, _messages, until) => {
    await until(() => source.status().connected);
    assert.equal(source.status().attempts, 2);
    assert.equal(cache.size, 1);
  });
});
