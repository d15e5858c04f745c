import assert from "node:assert/strict";
import { create, toBinary } from "@bufbuild/protobuf";
import fc from "fast-check";
import { EndpointSchema, ServiceSchema } from "../../proto/gen/flow/flow_pb.ts";
import { encodeEndpoint, encodeService } from "./endpoint_bytes.ts";

const text = fc.oneof(fc.string({ maxLength: 70 }), fc.string({ unit: "grapheme", maxLength: 70 }));

Deno.test("encodeEndpoint() writes what protobuf-es writes", () => {
  const fields = fc.record({
    numeric: fc.oneof(fc.nat(70_000), fc.constantFrom(0xffffffff, 0x80000000)),
    namespace: text,
    labels: fc.array(text, { maxLength: 5 }),
    pod: text,
    workloads: fc.array(fc.record({ name: text, kind: text }), { maxLength: 3 }),
    cluster: text,
  });
  fc.assert(fc.property(fields, (f) => {
    const message = create(EndpointSchema, {
      ID: f.numeric,
      identity: f.numeric,
      namespace: f.namespace,
      labels: f.labels,
      podName: f.pod,
      workloads: f.workloads,
      clusterName: f.cluster,
    });
    assert.deepEqual(encodeEndpoint(f), toBinary(EndpointSchema, message));
  }));
});

Deno.test("encodeEndpoint() takes labels of any size", () => {
  for (const length of [41, 42, 43, 118, 119, 120, 121, 122, 126, 127, 128, 129, 63_000, 2 ** 21]) {
    const labels = [`k8s:a=${"\u00e9".repeat(length)}`, "k8s:b=1"];
    const bytes = encodeEndpoint({ numeric: 1, namespace: "", labels, pod: "", workloads: [], cluster: "" });
    const message = create(EndpointSchema, { ID: 1, identity: 1, labels });
    assert.ok(equal(bytes, toBinary(EndpointSchema, message)), `${length}`);
  }
});

Deno.test("encodeService() writes what protobuf-es writes", () => {
  fc.assert(fc.property(text, text, (name, namespace) => {
    const message = create(ServiceSchema, { name, namespace });
    assert.deepEqual(encodeService(name, namespace), toBinary(ServiceSchema, message));
  }));
});

function equal(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, i) => byte === b[i]);
}
