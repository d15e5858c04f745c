import assert from "node:assert/strict";
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import {
  BatchKind,
  IpCacheBatchSchema,
  IpCacheUpdate_UpdateType as UpdateType,
  type IpCacheUpdateSchema,
} from "../../proto/gen/ipcache/ipcache_pb.ts";
import { BatchApplier } from "./batch_applier.ts";
import { ClusterNodes } from "./cluster_nodes.ts";
import { IpCache, Layer } from "./ip_cache.ts";
import { HOST_IDENTITY } from "./make.ts";
import { numberOf } from "./numeric.ts";
import { IdentityTable } from "./table.ts";

type Update = MessageInitShape<typeof IpCacheUpdateSchema>;

function newApplier() {
  const cache = new IpCache(new IdentityTable());
  const nodes = new ClusterNodes();
  const applier = new BatchApplier(cache, nodes);
  const apply = (revision: number, kind: BatchKind, ...updates: Update[]) =>
    applier.apply(
      create(IpCacheBatchSchema, { protocolVersion: 1, epoch: 9n, revision: BigInt(revision), kind, updates }),
    );
  const old = (...updates: Update[]) => applier.apply(create(IpCacheBatchSchema, { updates }));
  const names = () => Object.fromEntries([...cache.entries()].map(([prefix, { pod }]) => [prefix, pod]));
  return { cache, nodes, applier, apply, old, names };
}

const pod = (ip: string, podName: string): Update => ({
  ip,
  podName,
  namespace: "ns",
  identity: 300,
  labels: ["k8s:a=b"],
});
const SYNC: Update = { updateType: UpdateType.SYNC_COMPLETE };
const { SNAPSHOT, CHANGES } = BatchKind;

Deno.test("BatchApplier knows its position only after a complete synchronisation", () => {
  const { applier, apply, cache } = newApplier();
  applier.begin();
  apply(5, SNAPSHOT, pod("10.0.0.1", "a"));
  assert.deepEqual(applier.position, { epoch: 0n, revision: 0n });
  assert.equal(cache.synced, false);
  assert.deepEqual(apply(5, CHANGES, SYNC), { synced: true, shutdown: false });
  assert.deepEqual(applier.position, { epoch: 9n, revision: 5n });
  assert.equal(cache.synced, true);
  apply(6, CHANGES, pod("10.0.0.2", "b"));
  assert.deepEqual(applier.position, { epoch: 9n, revision: 6n });
});

Deno.test("BatchApplier removes what a snapshot does not name, and nothing before its end", () => {
  const { applier, apply, names } = newApplier();
  apply(1, SNAPSHOT, pod("10.0.0.1", "a"), pod("10.0.0.2", "b"), pod("10.0.0.3", "c"));
  apply(1, CHANGES, SYNC);
  applier.begin();
  apply(7, SNAPSHOT, pod("10.0.0.2", "b"));
  apply(8, CHANGES, pod("10.0.0.4", "d"), { updateType: UpdateType.DELETE, ip: "10.0.0.2" });
  assert.deepEqual(names(), { "10.0.0.1": "a", "10.0.0.3": "c", "10.0.0.4": "d" });
  apply(8, CHANGES, SYNC);
  assert.deepEqual(names(), { "10.0.0.4": "d" });
  assert.equal(applier.stats().swept, 2);
});

Deno.test("BatchApplier forgets a snapshot that was given up for another", () => {
  const { apply, names } = newApplier();
  apply(1, SNAPSHOT, pod("10.0.0.1", "gone"));
  apply(9, SNAPSHOT, pod("10.0.0.2", "b"));
  apply(9, CHANGES, SYNC);
  assert.deepEqual(names(), { "10.0.0.2": "b" });
});

Deno.test("BatchApplier takes a resumed stream as changes", () => {
  const { applier, apply, names } = newApplier();
  apply(1, SNAPSHOT, pod("10.0.0.1", "a"));
  apply(1, CHANGES, SYNC);
  applier.begin();
  apply(2, CHANGES, pod("10.0.0.2", "b"));
  apply(2, CHANGES, SYNC);
  assert.deepEqual(names(), { "10.0.0.1": "a", "10.0.0.2": "b" });
});

Deno.test("BatchApplier keeps names and its position at a shutdown", () => {
  const { applier, apply, names } = newApplier();
  apply(3, SNAPSHOT, pod("10.0.0.1", "a"));
  apply(3, CHANGES, SYNC);
  const batch = create(IpCacheBatchSchema, { protocolVersion: 1, updates: [{ updateType: UpdateType.SHUTDOWN }] });
  assert.deepEqual(applier.apply(batch), { synced: false, shutdown: true });
  assert.deepEqual(applier.position, { epoch: 9n, revision: 3n });
  assert.deepEqual(names(), { "10.0.0.1": "a" });
});

Deno.test("BatchApplier reads an operator of the first version: plain labels, no numbers, no revisions", () => {
  const { applier, old, cache, nodes, names } = newApplier();
  const workloads = [{ name: "web", kind: "Deployment" }];
  applier.begin();
  old({ ip: "10.0.0.1", namespace: "default", podName: "a", labels: ["app=nginx"], workloads }, {
    ip: "10.0.0.9",
    podName: "z",
  });
  old({ ip: "172.18.0.2", nodeName: "node-1" }, { ip: "10.96.0.1", namespace: "default", serviceName: "kubernetes" });
  old(SYNC);
  const identity = cache.get("10.0.0.1")!;
  assert.equal(identity.numeric, numberOf("default", ["app=nginx"]));
  assert.deepEqual(identity.labels, ["k8s:app=nginx", "k8s:io.kubernetes.pod.namespace=default"]);
  assert.deepEqual(identity.workloads, workloads);
  assert.equal(cache.get("172.18.0.2")?.numeric, 6);
  assert.equal(cache.get("10.96.0.1")?.numeric, 7);
  assert.deepEqual(nodes.current(), [{ name: "node-1", address: "172.18.0.2" }]);
  assert.deepEqual(applier.position, { epoch: 0n, revision: 0n });
  old({ ip: "10.0.0.2", podName: "later" });
  applier.begin();
  old({ ip: "10.0.0.1", namespace: "default", podName: "a" });
  old(SYNC);
  assert.deepEqual(names(), { "10.0.0.1": "a" });
});

Deno.test("BatchApplier leaves the node's own addresses alone and counts what it cannot read", () => {
  const { cache, apply, applier } = newApplier();
  cache.set("10.0.0.1", HOST_IDENTITY, Layer.HOST);
  apply(1, SNAPSHOT, pod("10.0.0.1", "a"), pod("not an address", "b"), {
    ...pod("10.0.0.2", "c"),
    updateType: 17 as UpdateType,
  });
  apply(1, CHANGES, SYNC);
  assert.equal(cache.get("10.0.0.1"), HOST_IDENTITY);
  apply(2, SNAPSHOT);
  apply(2, CHANGES, SYNC);
  assert.equal(cache.get("10.0.0.1"), HOST_IDENTITY);
  assert.equal(applier.stats().malformed, 2);
});

Deno.test("BatchApplier holds what pods of one workload share only once", () => {
  const { cache, apply } = newApplier();
  apply(1, SNAPSHOT, pod("10.0.0.1", "a"), pod("10.0.0.2", "b"), { ...pod("10.0.0.3", "c"), labels: ["k8s:a=c"] });
  const [a, b, c] = ["1", "2", "3"].map((n) => cache.get(`10.0.0.${n}`)!.labels);
  assert.equal(a, b);
  assert.deepEqual(c, ["k8s:a=c"]);
});

Deno.test("BatchApplier takes back only nodes that it named itself", () => {
  const { nodes, apply, cache } = newApplier();
  cache.set("172.18.0.9", HOST_IDENTITY, Layer.FILE);
  nodes.set("172.18.0.9", "by-file");
  apply(1, SNAPSHOT, { ip: "172.18.0.2", nodeName: "node-1", nodeAddress: true, identity: 6 });
  apply(1, CHANGES, SYNC);
  assert.deepEqual(nodes.current().map(({ name }) => name), ["by-file", "node-1"]);
  apply(2, SNAPSHOT);
  apply(2, CHANGES, SYNC);
  assert.deepEqual(nodes.current().map(({ name }) => name), ["by-file"]);
});
