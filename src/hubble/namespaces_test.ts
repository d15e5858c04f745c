import assert from "node:assert/strict";
import { create } from "@bufbuild/protobuf";
import { FlowSchema } from "../../proto/gen/flow/flow_pb.ts";
import { event, fixture } from "../flow/test_support.ts";
import { makeIdentity } from "../identity/make.ts";
import { NamespaceTracker } from "./namespaces.ts";

const udp = event({ ip_version: 4, protocol: 17 });
const pod = (namespace: string, cluster = "") => makeIdentity({ numeric: 1000, namespace, cluster, pod: "p" });
const names = (tracker: NamespaceTracker) => tracker.list().map(({ cluster, namespace }) => `${cluster}/${namespace}`);

Deno.test("NamespaceTracker sorts by cluster, then by name, and lists each once", () => {
  const flows = fixture();
  using tracker = new NamespaceTracker(flows.store);
  flows.push(udp, { source: pod("bbb", "some-cluster"), destination: pod("zzz") });
  flows.push(udp, { source: pod("aaa", "some-cluster"), destination: pod("zzz") });
  flows.push(udp);
  assert.deepEqual(names(tracker), ["/zzz", "some-cluster/aaa", "some-cluster/bbb"]);
});

Deno.test("NamespaceTracker remembers what the store has overwritten", () => {
  const flows = fixture({ capacity: 16 });
  using tracker = new NamespaceTracker(flows.store);
  flows.push(udp, { source: pod("early") });
  for (let i = 0; i < 40; i++) {
    flows.push(udp);
    flows.store.flushBatch();
  }
  assert.deepEqual(names(tracker), ["/early"]);
});

Deno.test("NamespaceTracker forgets after an hour", () => {
  const flows = fixture();
  let now = 0;
  using tracker = new NamespaceTracker(flows.store, () => now);
  flows.push(udp, { source: pod("old") });
  assert.deepEqual(names(tracker), ["/old"]);
  now = 3_000_000;
  flows.push(udp, { source: pod("new") });
  assert.deepEqual(names(tracker), ["/new", "/old"]);
  now = 3_600_001;
  assert.deepEqual(names(tracker), ["/new"]);
});

Deno.test("NamespaceTracker reads replayed flows", () => {
  const flows = fixture();
  using tracker = new NamespaceTracker(flows.store);
  flows.store.pushMessage(create(FlowSchema, { source: { namespace: "a", clusterName: "c" }, destination: {} }));
  assert.deepEqual(names(tracker), ["c/a"]);
});
