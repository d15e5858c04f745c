import { create, toJson } from "@bufbuild/protobuf";
import assert from "node:assert/strict";
import { FlowSchema, Verdict } from "../../proto/gen/flow/flow_pb.ts";
import { applyFieldMask, compileFieldMask, FieldMaskError } from "./field_mask.ts";

const flow = create(FlowSchema, {
  verdict: Verdict.DROPPED,
  uuid: "u",
  nodeName: "n",
  source: { podName: "a", namespace: "ns", labels: ["x", "y"] },
  l4: { protocol: { case: "TCP", value: { sourcePort: 1, destinationPort: 2, flags: { SYN: true, ACK: true } } } },
  isReply: true,
});

function masked(...paths: string[]): unknown {
  const mask = compileFieldMask(paths);
  assert.ok(mask);
  return toJson(FlowSchema, applyFieldMask(mask, flow), { useProtoFieldName: true });
}

Deno.test("applyFieldMask() keeps what the paths name", () => {
  assert.deepEqual(masked("verdict", "node_name"), { verdict: "DROPPED", node_name: "n" });
  assert.deepEqual(masked("source.pod_name", "source.labels"), { source: { pod_name: "a", labels: ["x", "y"] } });
  assert.deepEqual(masked("l4.TCP.flags.SYN"), { l4: { TCP: { flags: { SYN: true } } } });
  assert.deepEqual(masked("l4.TCP"), {
    l4: { TCP: { source_port: 1, destination_port: 2, flags: { SYN: true, ACK: true } } },
  });
  assert.deepEqual(masked("is_reply"), { is_reply: true });
  assert.deepEqual(masked("is_reply.value"), { is_reply: true });
});

Deno.test("a path into a message that the flow does not have makes it present, as in Hubble", () => {
  assert.deepEqual(masked("ethernet.source", "destination.pod_name"), { ethernet: {}, destination: {} });
  assert.deepEqual(masked("ethernet", "destination"), {});
  assert.deepEqual(masked("l4.UDP.source_port"), { l4: {} });
});

Deno.test("applyFieldMask() leaves the original alone", () => {
  const before = toJson(FlowSchema, flow);
  masked("source.pod_name", "l4.TCP.flags");
  assert.deepEqual(toJson(FlowSchema, flow), before);
});

Deno.test("a path inside another adds nothing, and equal masks have equal keys", () => {
  assert.deepEqual(masked("source.pod_name", "source"), masked("source"));
  assert.equal(compileFieldMask(["uuid", "IP.source", "IP", "uuid"])?.key, compileFieldMask(["IP", "uuid"])?.key);
  assert.notEqual(compileFieldMask(["IP"])?.key, compileFieldMask(["IP.source"])?.key);
});

Deno.test("no paths mean everything", () => assert.equal(compileFieldMask([]), undefined));

Deno.test("compileFieldMask() refuses what Flow does not have", () => {
  const bad = [
    "",
    ".",
    "foo",
    "source.",
    ".source",
    "source.foo",
    "uuid.x",
    "source.labels.x",
    "source.workloads.name",
  ];
  for (const path of [...bad, "Source", "nodeName", "l4.protocol"]) {
    assert.throws(() => compileFieldMask(["uuid", path]), (error) => {
      assert.ok(error instanceof FieldMaskError);
      assert.equal(error.message, `invalid fieldmask: Flow has no field "${path}"`);
      return true;
    });
  }
});
