import assert from "node:assert/strict";
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { TimestampSchema } from "@bufbuild/protobuf/wkt";
import { FlowSchema, LostEventSchema, LostEventSource, Verdict } from "../../proto/gen/flow/flow_pb.ts";
import { GetFlowsResponseSchema } from "../../proto/gen/observer/observer_pb.ts";
import fc from "fast-check";
import { compactLine, compactViewLine } from "./compact.ts";
import { arbitraryEvent, arbitraryIdentity, event, fixture } from "./test_support.ts";
import { toResponse } from "./to_flow.ts";

const time = { seconds: 1_767_323_045n, nanos: 6_999_999 };
const tcp = { protocol: { case: "TCP" as const, value: { sourcePort: 40_000, destinationPort: 80 } } };

function line(flow: MessageInitShape<typeof FlowSchema>): string | undefined {
  const value = create(FlowSchema, flow);
  value.time = create(TimestampSchema, time);
  value.verdict ||= Verdict.FORWARDED;
  return compactLine(create(GetFlowsResponseSchema, { responseTypes: { case: "flow", value } }));
}

const base: MessageInitShape<typeof FlowSchema> = {
  IP: { source: "10.0.0.1", destination: "10.0.0.2" },
  l4: tcp,
  source: { identity: 2 },
  destination: { identity: 1 },
  eventType: { type: 4, subType: 10 },
  isReply: false,
  Summary: "TCP Flags: SYN",
};

Deno.test("compactLine() shows time in UTC, ends, point, verdict and summary", () => {
  assert.equal(
    line(base),
    "Jan  2 03:04:05.006: 10.0.0.1:40000 (world) -> 10.0.0.2:80 (host) from-network FORWARDED (TCP Flags: SYN)",
  );
});

Deno.test("compactLine() turns replies round and marks an unknown direction", () => {
  assert.match(line({ ...base, isReply: true })!, /: 10\.0\.0\.2:80 \(host\) <- 10\.0\.0\.1:40000 \(world\) /);
  const { isReply: _, ...unknown } = base;
  assert.match(line(unknown)!, /10\.0\.0\.1:40000 \(world\) <> 10\.0\.0\.2:80 \(host\)/);
});

Deno.test("compactLine() prefers pod, then service, then names, and brackets IPv6 hosts that have a port", () => {
  const IP = { source: "fd00::1", destination: "fd00::2" };
  assert.match(line({ ...base, IP })!, /: \[fd00::1\]:40000 \(world\) -> \[fd00::2\]:80/);
  assert.match(
    line({ IP, eventType: { type: 4, subType: 0 }, isReply: false })!,
    /: fd00::1 \(unknown\) -> fd00::2 \(unknown\) to-endpoint/,
  );
  const source = { identity: 4242, namespace: "shop", podName: "web-1" };
  assert.match(line({ ...base, source })!, /: shop\/web-1:40000 \(ID:4242\) ->/);
  assert.match(line({ ...base, source, sourceService: { name: "web", namespace: "other" } })!, /: other\/web-1:40000/);
  assert.match(line({ ...base, destinationService: { name: "dns", namespace: "sys" } })!, /-> sys\/dns:80/);
  assert.match(line({ ...base, destinationNames: ["a.example", "b.example"] })!, /-> a\.example,b\.example:80/);
});

Deno.test("compactLine() shows hardware addresses without an IP layer", () => {
  const ethernet = { source: "02:00:00:00:00:01", destination: "02:00:00:00:00:02" };
  assert.match(
    line({ ethernet, isReply: false })!,
    /: 02:00:00:00:00:01 \(unknown\) -> 02:00:00:00:00:02 \(unknown\) UNKNOWN FORWARDED \(\)/,
  );
});

Deno.test("compactLine() names drops, policy verdicts and application protocols as Hubble does", () => {
  const drop = { ...base, verdict: Verdict.DROPPED };
  assert.match(line({ ...drop, eventType: { type: 1, subType: 133 } })!, / Policy denied DROPPED /);
  assert.match(line({ ...drop, eventType: { type: 1, subType: 181 } })!, / Policy denied by denylist DROPPED /);
  assert.match(line({ ...drop, eventType: { type: 1, subType: 9999 } })!, / 9999, 0 DROPPED /);
  const policy = { eventType: { type: 5 }, policyMatchType: 2, trafficDirection: 1 };
  assert.match(line({ ...base, ...policy })!, / policy-verdict:L3-L4 INGRESS ALLOWED /);
  assert.match(line({ ...base, ...policy, verdict: Verdict.DROPPED })!, / policy-verdict:L3-L4 INGRESS DENIED /);
  const http = { type: 1, record: { case: "http" as const, value: {} } };
  assert.match(line({ ...base, l7: http })!, / http-request FORWARDED /);
  const dns = { type: 2, record: { case: "dns" as const, value: { observationSource: "proxy" } } };
  assert.match(line({ ...base, l7: dns })!, / dns-response proxy FORWARDED /);
});

Deno.test("compactLine() shows losses with source, CPU and number", () => {
  const lost = (value: object) =>
    compactLine(create(GetFlowsResponseSchema, { time, responseTypes: { case: "lostEvents", value } }));
  assert.equal(
    lost({ source: LostEventSource.PERF_EVENT_RING_BUFFER, cpu: 1, numEventsLost: 7n }),
    "Jan  2 03:04:05.006 EVENTS LOST: PERF_EVENT_RING_BUFFER CPU(1) 7",
  );
  assert.match(
    lost({ source: LostEventSource.HUBBLE_RING_BUFFER, numEventsLost: 2n, first: time, last: time })!,
    /EVENTS LOST: HUBBLE_RING_BUFFER CPU\(0\) 2 \(first: Jan {2}2 03:04:05\.006, last: Jan {2}2 03:04:05\.006\)$/,
  );
});

Deno.test("compactLine() has no line for node status, and survives a missing time", () => {
  const status = compactLine(create(GetFlowsResponseSchema, { responseTypes: { case: "nodeStatus", value: {} } }));
  assert.equal(status, undefined);
  const flow = compactLine(create(GetFlowsResponseSchema, { responseTypes: { case: "flow", value: {} } }));
  assert.match(flow!, /^N\/A: /);
});

Deno.test("compactViewLine() prints a record as compactLine() prints its message", () => {
  const { push } = fixture({ capacity: 2 });
  const wall = fc.tuple(fc.integer({ min: 0, max: 0xffffffff }), fc.nat(999_999_999));
  fc.assert(
    fc.property(arbitraryEvent, arbitraryIdentity, arbitraryIdentity, wall, (fields, source, destination, wall) => {
      const view = push(event(fields), { source, destination, wall });
      assert.equal(compactViewLine(view), compactLine(toResponse(view)));
    }),
    { numRuns: 500 },
  );
});

Deno.test("compactViewLine() prints messages and losses too", () => {
  const { store, view } = fixture();
  view.moveTo(store.pushMessage(create(FlowSchema, { ...base, uuid: "u" })));
  assert.equal(compactViewLine(view), compactLine(toResponse(view)));
  view.moveTo(store.pushLost(create(LostEventSchema, { source: 3, numEventsLost: 5n }), 60, 0));
  assert.equal(compactViewLine(view), "Jan  1 00:01:00.000 EVENTS LOST: HUBBLE_RING_BUFFER CPU(0) 5");
});
