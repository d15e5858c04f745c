import { create, createRegistry, fromBinary, type JsonValue, toBinary, toJson } from "@bufbuild/protobuf";
import { StructSchema } from "@bufbuild/protobuf/wkt";
import fc from "fast-check";
import assert from "node:assert/strict";
import { FlowSchema, LostEventSchema } from "../../proto/gen/flow/flow_pb.ts";
import { type GetFlowsResponse, GetFlowsResponseSchema } from "../../proto/gen/observer/observer_pb.ts";
import { makeIdentity } from "../identity/make.ts";
import { FlowEncoder } from "./encoder.ts";
import { compileFieldMask } from "./field_mask.ts";
import { EventFlag, IpProtocol, TcpFlag } from "./record.ts";
import { arbitraryEvent, arbitraryIdentity, event, fixture, v4 } from "./test_support.ts";
import { toResponse } from "./to_flow.ts";

const registry = createRegistry(StructSchema);

/** Reads the one frame in `out` from `at` to `end` and checks its prefix. */
function readFrame(out: Uint8Array, at: number, end: number): GetFlowsResponse {
  assert.equal(out[at], 0, "not compressed");
  assert.equal(new DataView(out.buffer).getUint32(at + 1), end - at - 5, "length");
  return fromBinary(GetFlowsResponseSchema, out.subarray(at + 5, end));
}

/** JSON shows presence, enum names and the content of the extension; a type URL alone is no valid JSON Any. */
function json(response: GetFlowsResponse): JsonValue {
  const { case: kind, value } = response.responseTypes;
  const extensions = kind === "flow" ? value.extensions : undefined;
  if (kind !== "flow" || extensions === undefined || extensions.typeUrl !== "" && extensions.value.length > 0) {
    return toJson(GetFlowsResponseSchema, response, { registry });
  }
  const without = { ...response, responseTypes: { case: "flow" as const, value: { ...value } } };
  delete without.responseTypes.value.extensions;
  return [toJson(GetFlowsResponseSchema, without), extensions.typeUrl, [...extensions.value]];
}

const PATHS = [
  ..."time time.seconds time.nanos uuid verdict ethernet ethernet.source ethernet.destination IP IP.source".split(" "),
  ..."IP.destination IP.ipVersion IP.encrypted l4 l4.TCP l4.TCP.source_port l4.TCP.flags l4.TCP.flags.SYN".split(" "),
  ..."l4.TCP.flags.NS l4.UDP.destination_port l4.SCTP l4.ICMPv4.type l4.ICMPv6 l4.ICMPv6.code l4.VRRP".split(" "),
  ..."source source.labels source.pod_name source.workloads destination destination.identity".split(" "),
  ..."destination.namespace destination.cluster_name Type node_name node_labels source_names".split(" "),
  ..."destination_names source_service source_service.name destination_service.namespace event_type".split(" "),
  ..."event_type.sub_type traffic_direction trace_observation_point is_reply is_reply.value".split(" "),
  ..."interface interface.name interface.index emitter.name trace_reason Summary extensions".split(" "),
  ..."extensions.type_url extensions.value l7 l7.dns.query tunnel.IP.source tunnel.l4.TCP policy_log".split(" "),
];

Deno.test("encodeFrame() writes what the library would have written, under every mask", () => {
  const { push, context, interfaces } = fixture({ capacity: 4 });
  const encoder = new FlowEncoder(context);
  const out = new Uint8Array(8192);
  interfaces.set(1, "eth0");
  interfaces.set(2, "lxc_health");
  interfaces.set(0xfffffffe, "veth-ü");
  const property = fc.property(
    arbitraryEvent,
    arbitraryIdentity,
    arbitraryIdentity,
    fc.tuple(fc.integer({ min: 0, max: 0xffffffff }), fc.integer({ min: 0, max: 999_999_999 })),
    fc.oneof(fc.constant([]), fc.subarray(PATHS), fc.subarray(PATHS, { maxLength: 3 })),
    fc.integer({ min: 0, max: 1000 }),
    (fields, source, destination, wall, paths, at) => {
      const view = push(event(fields), { source, destination, wall });
      const mask = compileFieldMask(paths);
      out.fill(0xee);
      const end = encoder.encodeFrame(view, out, at, mask);
      assert.notEqual(end, -1);
      assert.equal(out[at - 1] ?? 0xee, 0xee, "nothing before the frame is touched");
      assert.deepEqual(json(readFrame(out, at, end)), json(toResponse(view, mask)));
    },
  );
  fc.assert(property, { numRuns: 1500 });
});

Deno.test("encodeFrame() uses the shortest varints, so that its bytes are as many as the library's", () => {
  const { push, context } = fixture();
  const encoder = new FlowEncoder(context);
  const out = new Uint8Array(8192);
  fc.assert(
    fc.property(arbitraryEvent, arbitraryIdentity, fc.subarray(PATHS), (fields, source, paths) => {
      const view = push(event(fields), { source });
      const mask = compileFieldMask(paths);
      const expected = toBinary(GetFlowsResponseSchema, toResponse(view, mask));
      assert.equal(encoder.encodeFrame(view, out, 0, mask), expected.length + 5);
    }),
    { numRuns: 300 },
  );
});

Deno.test("encodeFrame() handles flows of one, two and three length bytes", () => {
  const { push, context } = fixture();
  const encoder = new FlowEncoder(context);
  const out = new Uint8Array(65536);
  for (const [labels, paths] of [[0, ["Type"]], [0, ["time"]], [3, []], [2000, []]] as const) {
    const source = makeIdentity({ labels: Array.from({ length: labels }, (_, i) => `k8s:label-${i}=x`) });
    const view = push(event({}), { source });
    const mask = compileFieldMask(paths);
    const end = encoder.encodeFrame(view, out, 3, mask);
    assert.deepEqual(json(readFrame(out, 3, end)), json(toResponse(view, mask)));
  }
});

Deno.test("encodeFrame() says -1 when a frame does not fit, and writes nothing beyond the buffer", () => {
  const { push, context } = fixture();
  const encoder = new FlowEncoder(context);
  const view = push(event({ ip_version: 4, protocol: IpProtocol.UDP }));
  const whole = new Uint8Array(4096);
  const end = encoder.encodeFrame(view, whole, 0);
  for (let size = 0; size < end; size++) {
    const small = new Uint8Array(size);
    assert.equal(encoder.encodeFrame(view, small, 0), -1);
  }
  assert.equal(encoder.encodeFrame(view, new Uint8Array(4096), 4090), -1);
});

Deno.test("frames follow one another in one buffer, whatever their masks", () => {
  const { push, context, store, view } = fixture();
  const encoder = new FlowEncoder(context);
  const out = new Uint8Array(16384);
  const masks = [undefined, compileFieldMask(["time", "source.pod_name"]), compileFieldMask(["Summary"]), undefined];
  const ends = [0];
  for (let i = 0; i < 4; i++) push(event({ src_port: i, protocol: IpProtocol.TCP }));
  for (let i = 0; i < 4; i++) ends.push(encoder.encodeFrame(view.moveTo(i), out, ends[i], masks[i]));
  for (let i = 0; i < 4; i++) {
    assert.deepEqual(json(readFrame(out, ends[i], ends[i + 1])), json(toResponse(view.moveTo(i), masks[i])));
  }
  assert.equal(store.head, 4);
});

Deno.test("a slot's identity index that is used again shows the new identity", () => {
  const { push, context } = fixture({ capacity: 1 });
  const encoder = new FlowEncoder(context);
  const out = new Uint8Array(4096);
  for (const pod of ["first", "second"]) {
    const view = push(event({}), { source: makeIdentity({ namespace: "ns", pod }) });
    const { value } = readFrame(out, 0, encoder.encodeFrame(view, out, 0)).responseTypes;
    assert.equal(value?.$typeName === "flow.Flow" && value.source?.podName, pod);
  }
});

Deno.test("a number of the interface table that is used again shows the new name", () => {
  const { push, context } = fixture();
  let name = "vethold";
  const encoder = new FlowEncoder({ ...context, interfaceName: () => name });
  const out = new Uint8Array(4096);
  const view = push(event({ ifindex: 4 }));
  for (name of ["vethold", "vethnew"]) {
    const { value } = readFrame(out, 0, encoder.encodeFrame(view, out, 0)).responseTypes;
    assert.equal(value?.$typeName === "flow.Flow" && value.interface?.name, name);
  }
});

Deno.test("more kinds of packet than are kept are encoded right all the same", () => {
  const { push, context } = fixture();
  const encoder = new FlowEncoder(context);
  const out = new Uint8Array(4096);
  for (let round = 0; round < 2; round++) {
    for (let i = 0; i < 5000; i++) {
      const fields = { protocol: IpProtocol.TCP, tcp_flags: i & 511, traffic_direction: i % 3, is_reply: (i >> 9) % 3 };
      const view = push(event({ ...fields, observation_point: (i >> 11) & 3, vlan_id: i % 7 }));
      const end = encoder.encodeFrame(view, out, 0);
      if (i % 100 === 0) assert.deepEqual(json(readFrame(out, 0, end)), json(toResponse(view)));
    }
  }
});

Deno.test("messages and lost events are framed, masked as a record is, lost events never", () => {
  const { store, view, context } = fixture();
  const encoder = new FlowEncoder(context);
  const out = new Uint8Array(4096);
  const mask = compileFieldMask(["time", "l7.dns.query"]);
  const flow = create(FlowSchema, {
    time: { seconds: 1n },
    nodeName: "other",
    l7: { record: { case: "dns", value: { query: "a.", rcode: 3 } } },
  });
  view.moveTo(store.pushMessage(flow));
  const whole = readFrame(out, 0, encoder.encodeFrame(view, out, 0));
  assert.deepEqual(whole.responseTypes.value, flow);
  assert.equal(whole.nodeName, "other");
  const masked = readFrame(out, 0, encoder.encodeFrame(view, out, 0, mask));
  assert.deepEqual(toJson(GetFlowsResponseSchema, masked), {
    flow: { time: "1970-01-01T00:00:01Z", l7: { dns: { query: "a." } } },
    time: "1970-01-01T00:00:01Z",
  });
  view.moveTo(store.pushLost(create(LostEventSchema, { numEventsLost: 9n }), 3, 4));
  const lost = readFrame(out, 0, encoder.encodeFrame(view, out, 0, mask));
  assert.equal(lost.responseTypes.case, "lostEvents");
  assert.deepEqual([lost.nodeName, lost.time?.seconds, lost.time?.nanos], ["node-1", 3n, 4]);
  assert.equal(encoder.encodeFrame(view, new Uint8Array(10), 0), -1);
});

Deno.test("a replayed flow is encoded once for each mask, and never shown for another in its slot", () => {
  const { store, view, context } = fixture({ capacity: 2 });
  const encoder = new FlowEncoder(context);
  const out = new Uint8Array(4096);
  const mask = compileFieldMask(["uuid"]);
  for (let i = 0; i < 6; i++) {
    view.moveTo(store.pushMessage(create(FlowSchema, { uuid: `u${i}`, Summary: "s" })));
    for (const used of [undefined, mask, undefined, mask]) {
      const response = readFrame(out, 0, encoder.encodeFrame(view, out, 0, used));
      assert.deepEqual(json(response), json(toResponse(view, used)));
    }
  }
});

Deno.test("a TCP report reads as Hubble's JSON with Retina's extension", () => {
  const { push, context, interfaces } = fixture();
  interfaces.set(7, "eth0");
  const encoder = new FlowEncoder(context);
  const out = new Uint8Array(4096);
  const view = push(
    event({
      ts_ns: 1_500_000_001n,
      ip_version: 4,
      src_addr: v4(10, 0, 0, 1),
      dst_addr: v4(192, 168, 100, 200),
      protocol: IpProtocol.TCP,
      src_port: 40000,
      dst_port: 443,
      tcp_flags: TcpFlag.ACK | TcpFlag.PSH,
      bytes: 1500,
      ifindex: 7,
      observation_point: 0,
      traffic_direction: 2,
      is_reply: 0,
      event_flags: EventFlag.TCP_TIMESTAMP,
      tcp_seq: 1,
      tcp_ack: 4_000_000_000,
      tcp_tsval: 11,
      tcp_tsecr: 12,
      total_packets_tx: 10,
      total_bytes_tx: 9_007_199_254_740_992n,
      total_packets_rx: 5,
      total_bytes_rx: 777n,
      held_packets: 8,
      held_bytes: 900,
      held_ack: 8,
      held_psh: 2,
      vlan_id: 100,
      ethernet: [2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 0x1f],
    }),
    { source: makeIdentity({ numeric: 4242, namespace: "shop", pod: "web", labels: ["k8s:app=web"] }) },
  );
  const end = encoder.encodeFrame(view, out, 0);
  assert.deepEqual(toJson(GetFlowsResponseSchema, readFrame(out, 0, end), { registry, useProtoFieldName: true }), {
    flow: {
      time: "2025-11-22T00:00:02.000000001Z",
      uuid: view.uuid(),
      verdict: "FORWARDED",
      ethernet: { source: "02:00:00:00:00:1f", destination: "02:00:00:00:00:02" },
      IP: { source: "10.0.0.1", destination: "192.168.100.200", ipVersion: "IPv4" },
      l4: { TCP: { source_port: 40000, destination_port: 443, flags: { PSH: true, ACK: true } } },
      source: { ID: 4242, identity: 4242, namespace: "shop", labels: ["k8s:app=web"], pod_name: "web" },
      destination: { ID: 2, identity: 2, labels: ["reserved:world"] },
      Type: "L3_L4",
      node_name: "node-1",
      source_names: ["shop/web"],
      event_type: { type: 4, sub_type: 5 },
      traffic_direction: "EGRESS",
      trace_observation_point: "FROM_ENDPOINT",
      trace_reason: "ESTABLISHED",
      is_reply: false,
      interface: { index: 7, name: "eth0" },
      emitter: { name: "Retina", version: "0.1.0" },
      Summary: "TCP Flags: ACK, PSH",
      extensions: {
        "@type": "type.googleapis.com/google.protobuf.Struct",
        value: {
          bytes: 1500,
          previously_observed_packets: 8,
          previously_observed_bytes: 900,
          previously_observed_tcp_flags: { ACK: 8, PSH: 2 },
          total_packets_tx: 10,
          total_bytes_tx: 9007199254740992,
          total_packets_rx: 5,
          total_bytes_rx: 777,
          tcp_seq: 1,
          tcp_ack: 4000000000,
          tcp_tsval: 11,
          tcp_tsecr: 12,
          vlan_id: 100,
        },
      },
    },
    node_name: "node-1",
    time: "2025-11-22T00:00:02.000000001Z",
  });
});
