/** What goes wrong between operator, agents and API server for longer than a moment. */
import assert from "node:assert/strict";
import { connect } from "node:http2";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { IpCacheBatchSchema, IpCacheRequestSchema } from "../../proto/gen/ipcache/ipcache_pb.ts";
import { BatchApplier } from "../../src/identity/batch_applier.ts";
import { ClusterNodes } from "../../src/identity/cluster_nodes.ts";
import { FrameParser } from "../../src/identity/grpc_stream.ts";
import { IpCache } from "../../src/identity/ip_cache.ts";
import { IdentityTable } from "../../src/identity/table.ts";
import { withCluster } from "./cluster.ts";
import { eventually } from "./eventually.ts";
import { meanings, sorted } from "./meaning.ts";
import { pod } from "./objects.ts";
import { truth } from "./truth.ts";

Deno.test("an agent that stands still costs the operator no memory, and is right in the end", async () => {
  await withCluster(async (cluster) => {
    const label = Object.fromEntries(Array.from({ length: 40 }, (_, i) => [`label-${i}`, "x".repeat(60)]));
    cluster.api.set(pod("shop", "first", ["10.1.0.1"]));
    const operator = await cluster.operator(["--change-log-bytes", String(1024 * 1024)]);
    const stats = async () => await (await fetch(`http://127.0.0.1:${operator.debugPort}/debug/stats`)).json();
    await eventually(() => assert.ok(operator.serving));
    const session = connect(`http://127.0.0.1:${operator.grpcPort}`);
    const headers = {
      ":method": "POST",
      ":path": "/ipcache.IpCache/StreamIpCacheUpdates",
      "content-type": "application/grpc",
    };
    const stream = session.request(headers);
    const request = toBinary(IpCacheRequestSchema, create(IpCacheRequestSchema, { protocolVersion: 1 }));
    stream.end(new Uint8Array([0, 0, 0, 0, request.length, ...request]));
    const cache = new IpCache(new IdentityTable());
    const applier = new BatchApplier(cache, new ClusterNodes());
    const parser = new FrameParser(1 << 24);
    stream.on("data", (chunk: Uint8Array) => {
      for (const message of parser.push(chunk)) applier.apply(fromBinary(IpCacheBatchSchema, message));
    });
    stream.pause();
    await eventually(async () => assert.equal((await stats()).agents.connected, 1));
    // Nothing is read: the connection's window fills, and the log runs away from the reader.
    for (let round = 0; round < 12; round++) {
      for (let i = 0; i < 500; i++) {
        cluster.api.set(
          pod("shop", `p${i}-${round}`, [`10.1.${i >> 8}.${i & 255}`], { labels: { ...label, round: String(round) } }),
        );
        cluster.api.delete(`Pod shop/p${i}-${round - 1}`);
      }
      await eventually(() => assert.equal(operator.state.stats().pods, cluster.api.world.size));
    }
    await eventually(async () => assert.ok((await stats()).log.revision > 12));
    assert.ok((await stats()).log.bytes <= 1024 * 1024);
    stream.resume();
    await eventually(async () => assert.equal(Number(applier.position.revision), (await stats()).log.revision));
    assert.deepEqual(meanings(cache.entries()), sorted(truth([...cluster.api.world.values()])));
    assert.ok((await stats()).agents.resyncs >= 1);
    const closed = new Promise((resolve) => session.on("close", resolve));
    session.destroy();
    await closed;
  });
});

Deno.test("a leader that cannot renew its Lease stops serving, and serves again when it can", async () => {
  await withCluster(async (cluster) => {
    cluster.api.set(pod("shop", "a", ["10.1.0.2"]));
    const operator = await cluster.operator(["--leader-elect", "--identity", "one"], {
      lease: { duration: 900, deadline: 500, retry: 50 },
    });
    await eventually(() => assert.ok(operator.serving));
    const agent = cluster.agent(`127.0.0.1:${operator.grpcPort}`);
    await cluster.settled();
    const port = await cluster.api.pause();
    await eventually(() => assert.equal(operator.serving, false));
    await eventually(() => assert.match(agent.source.status().lastError, /does not lead|no longer leads/));
    assert.equal(agent.cache.get("10.1.0.2")?.pod, "a");
    await cluster.api.resume(port);
    await cluster.settled();
  });
});
