import assert from "node:assert/strict";
import { createRegistry, equals, toJsonString } from "@bufbuild/protobuf";
import { StructSchema } from "@bufbuild/protobuf/wkt";
import { FlowSchema, LostEventSource, Verdict } from "../../../proto/gen/flow/flow_pb.ts";
import { GetFlowsResponseSchema } from "../../../proto/gen/observer/observer_pb.ts";
import { event, fixture } from "../../flow/test_support.ts";
import { toResponse } from "../../flow/to_flow.ts";
import { LineReader } from "./line.ts";

const registry = createRegistry(StructSchema);

function flowOf(line: string) {
  const read = new LineReader().read(line);
  assert.equal(read.kind, "flow");
  return (read as Extract<typeof read, { kind: "flow" }>).flow;
}

Deno.test("LineReader reads back what the agent itself serves", () => {
  const view = fixture().push(event({ ip_version: 4, protocol: 6, tcp_flags: 0x12, bytes: 77, total_packets_tx: 1 }));
  const response = toResponse(view);
  const flow = flowOf(toJsonString(GetFlowsResponseSchema, response, { useProtoFieldName: true, registry }));
  assert.ok(response.responseTypes.case === "flow");
  assert.ok(equals(FlowSchema, flow, response.responseTypes.value));
});

Deno.test("LineReader reads the exporter's form with proto names", () => {
  const flow = flowOf(
    '{"flow":{"verdict":"DROPPED","drop_reason_desc":"POLICY_DENIED","IP":{"source":"10.0.0.1"},' +
      '"source":{"ID":5,"identity":7,"pod_name":"web"},"is_reply":false,"node_name":"a"},' +
      '"node_name":"b","time":"2025-01-02T03:04:05.678Z"}',
  );
  assert.deepEqual(
    [flow.verdict, flow.dropReasonDesc, flow.IP?.source, flow.source?.podName, flow.isReply, flow.nodeName],
    [Verdict.DROPPED, 133, "10.0.0.1", "web", false, "a"],
  );
  assert.deepEqual([flow.time?.seconds, flow.time?.nanos], [1735787045n, 678_000_000]);
});

Deno.test("LineReader takes node name and time from the envelope when the flow has none", () => {
  const flow = flowOf('{"flow":{"verdict":"FORWARDED"},"node_name":"b","time":"2025-01-02T03:04:05Z"}');
  assert.deepEqual([flow.nodeName, flow.time?.seconds], ["b", 1735787045n]);
});

Deno.test("LineReader reads a bare flow", () => {
  const flow = flowOf('{"time":"2025-01-02T03:04:05Z","verdict":"FORWARDED","l4":{"UDP":{"source_port":53}}}');
  assert.deepEqual(flow.l4?.protocol.case, "UDP");
});

Deno.test("LineReader leaves out what it does not know", () => {
  const flow = flowOf(
    '{"flow":{"time":"2025-01-02T03:04:05Z","verdict":"SOMETHING_NEW","new_field":{"a":1},"source":{"pod_uid":"x"},' +
      '"extensions":{"@type":"type.googleapis.com/no.Such","x":1}},"cluster":"c"}',
  );
  assert.deepEqual([flow.verdict, flow.extensions], [Verdict.VERDICT_UNKNOWN, undefined]);
});

Deno.test("LineReader shares equal endpoints", () => {
  const reader = new LineReader();
  const line = '{"flow":{"time":"2025-01-02T03:04:05Z","source":{"identity":7},"destination":{"identity":7}}}';
  const [a, b] = [reader.read(line), reader.read(line)];
  assert.ok(a.kind === "flow" && b.kind === "flow");
  assert.equal(a.flow.source, b.flow.source);
  assert.equal(a.flow.source, a.flow.destination);
});

Deno.test("LineReader reads lost events and passes over other events", () => {
  const reader = new LineReader();
  const lost = reader.read(
    '{"lost_events":{"source":"HUBBLE_RING_BUFFER","num_events_lost":"5"},"time":"2025-01-02T03:04:05Z"}',
  );
  assert.ok(lost.kind === "lost");
  assert.deepEqual([lost.lost.source, lost.lost.numEventsLost], [LostEventSource.HUBBLE_RING_BUFFER, 5n]);
  for (const key of ["node_status", "agent_event", "debugEvent"]) {
    assert.equal(reader.read(`{"${key}":{},"time":"2025-01-02T03:04:05Z"}`).kind, "other");
  }
});

Deno.test("LineReader says what is wrong with a line", () => {
  const cases: [line: string, problem: RegExp][] = [
    ["{", /^no JSON$/],
    ["[1]", /no JSON object/],
    ["null", /no JSON object/],
    ["{}", /neither a flow/],
    ['{"flow":{"verdict":"FORWARDED"}}', /no time/],
    ['{"flow":{"time":"yesterday"}}', /Timestamp from JSON/],
    ['{"flow":{"time":"2025-01-02T03:04:05Z","IP":{"source":7}}}', /IP\.source/],
  ];
  for (const [line, problem] of cases) assert.throws(() => new LineReader().read(line), { message: problem }, line);
});
