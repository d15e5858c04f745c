import assert from "node:assert/strict";
import { HOST_IDENTITY, makeIdentity, sameIdentity, UNKNOWN_IDENTITY, WORLD_IDENTITY } from "./make.ts";

const fields = {
  numeric: 1234,
  namespace: "shop",
  pod: "web-1",
  service: "web",
  cluster: "c1",
  labels: ["k8s:tier=front", "k8s:app=web"],
  workloads: [{ name: "web", kind: "Deployment" }],
};

Deno.test("makeIdentity() sorts labels and derives names", () => {
  const identity = makeIdentity(fields);
  assert.deepEqual(identity.labels, ["k8s:app=web", "k8s:tier=front"]);
  assert.deepEqual(identity.names, ["shop/web-1"]);
  assert.deepEqual(makeIdentity({ namespace: "shop", service: "web" }).names, ["shop/web"]);
  assert.deepEqual(makeIdentity({ node: "node-1" }).names, ["node-1"]);
  assert.deepEqual(WORLD_IDENTITY.names, []);
  assert.equal(identity.names, identity.names);
});

Deno.test("makeIdentity() encodes once, and only what is there", () => {
  const identity = makeIdentity(fields);
  assert.equal(identity.endpointBytes, identity.endpointBytes);
  assert.equal(WORLD_IDENTITY.serviceBytes.length, 0);
  // ID 2, identity 2, one label of 14 bytes.
  assert.deepEqual([...WORLD_IDENTITY.endpointBytes.subarray(0, 6)], [0x08, 2, 0x10, 2, 0x22, 14]);
  assert.deepEqual([...HOST_IDENTITY.endpointBytes.subarray(0, 4)], [0x08, 1, 0x10, 1]);
  assert.equal(UNKNOWN_IDENTITY.endpointBytes[0], 0x22);
  assert.deepEqual(
    identity.serviceBytes,
    new Uint8Array([0x0a, 3, ...new TextEncoder().encode("web"), 0x12, 4, ...new TextEncoder().encode("shop")]),
  );
});

Deno.test("sameIdentity() sees every field", () => {
  assert.ok(sameIdentity(makeIdentity(fields), makeIdentity({ ...fields, labels: fields.labels.toReversed() })));
  const others = [
    { numeric: 1 },
    { namespace: "x" },
    { pod: "x" },
    { service: "x" },
    { node: "x" },
    { cluster: "x" },
    { labels: ["k8s:app=web"] },
    { labels: ["k8s:app=web", "k8s:tier=back"] },
    { workloads: [] },
    { workloads: [{ name: "web", kind: "StatefulSet" }] },
    { workloads: [{ name: "api", kind: "Deployment" }] },
  ];
  for (const other of others) {
    assert.equal(
      sameIdentity(makeIdentity(fields), makeIdentity({ ...fields, ...other })),
      false,
      JSON.stringify(other),
    );
  }
});
