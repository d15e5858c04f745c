/**
 * Memory that an agent's identity cache takes for each entry, filled as an operator fills it.
 *
 *     deno run --allow-read --v8-flags=--expose-gc bench/ip_cache_memory.ts
 *
 * Prints JavaScript heap and external memory (typed arrays) an entry, and the process's resident memory. Half of the pods
 * share their labels with nine others, which is how Deployments are.
 */
import { create } from "@bufbuild/protobuf";
import { IpCacheBatchSchema } from "../proto/gen/ipcache/ipcache_pb.ts";
import { BatchApplier } from "../src/identity/batch_applier.ts";
import { ClusterNodes } from "../src/identity/cluster_nodes.ts";
import { IpCache } from "../src/identity/ip_cache.ts";
import { IdentityTable } from "../src/identity/table.ts";

const { gc } = globalThis as unknown as { gc?: () => void };
if (gc === undefined) throw new Error("Run with --v8-flags=--expose-gc: without a collection the numbers mean nothing");

function batch(from: number, count: number) {
  const updates = Array.from({ length: count }, (_, k) => {
    const n = from + k;
    const app = `app-${Math.floor(n / 10)}`, namespace = `team-${Math.floor(n / 10) % 200}`;
    return {
      ip: `10.${n >> 16}.${n >> 8 & 255}.${n & 255}`,
      namespace,
      podName: `${app}-5d4f8c7b9-x${n}`,
      labels: [`k8s:app=${app}`, `k8s:io.kubernetes.pod.namespace=${namespace}`, "k8s:tier=backend"],
      workloads: [{ name: app, kind: "Deployment" }],
      identity: 256 + Math.floor(n / 10),
    };
  });
  return create(IpCacheBatchSchema, { protocolVersion: 1, epoch: 1n, revision: 1n, kind: 1, updates });
}

const used = () => {
  gc();
  return Deno.memoryUsage();
};
for (const size of [1_000, 10_000, 100_000]) {
  const before = used();
  const cache = new IpCache(new IdentityTable());
  const applier = new BatchApplier(cache, new ClusterNodes());
  for (let from = 0; from < size; from += 1000) applier.apply(batch(from, 1000));
  applier.apply(create(IpCacheBatchSchema, { protocolVersion: 1, updates: [{ updateType: 2 }] }));
  const after = used();
  const heap = (after.heapUsed - before.heapUsed) / size, external = (after.external - before.external) / size;
  console.log(
    `${cache.size} entries: ${heap.toFixed(0)} B of heap and ${external.toFixed(0)} B of arrays each; ${
      Math.round(after.rss / 1e6)
    } MB resident`,
  );
}
