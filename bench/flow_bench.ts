/**
 * The walk of an event and of a flow. Each iteration handles 1,000 of them: microseconds per iteration are nanoseconds
 * per event.
 *
 *     deno bench -A bench/flow_bench.ts
 */
import { create, toBinary } from "@bufbuild/protobuf";
import { GetFlowsResponseSchema } from "../proto/gen/observer/observer_pb.ts";
import { noCounters } from "../src/flow/counters.ts";
import { FlowEncoder } from "../src/flow/encoder.ts";
import { compileFieldMask } from "../src/flow/field_mask.ts";
import { InterfaceTable } from "../src/flow/interfaces.ts";
import { EventFlag, IpProtocol, TcpFlag } from "../src/flow/record.ts";
import { RecordSink } from "../src/flow/sink.ts";
import { FlowStore } from "../src/flow/store.ts";
import { event, WALL } from "../src/flow/test_support.ts";
import { recordToFlow, toResponse } from "../src/flow/to_flow.ts";
import { FlowView } from "../src/flow/view.ts";
import { IpCache } from "../src/identity/ip_cache.ts";
import { makeIdentity } from "../src/identity/make.ts";
import { IdentityTable } from "../src/identity/table.ts";
import { FlowMetrics } from "../src/telemetry/flow_metrics.ts";

const EVENTS = 1000, PODS = 10_000, RING_RECORD = 152;

const identities = new IdentityTable();
const ipCache = new IpCache(identities);
for (let pod = 0; pod < PODS; pod++) {
  const name = `web-7d4b9c6f5-${pod.toString(36).padStart(5, "x")}`;
  const labels = [`k8s:app=web-${pod % 100}`, "k8s:io.kubernetes.pod.namespace=shop", "k8s:version=v1"];
  const identity = makeIdentity({
    numeric: 65536 + pod,
    namespace: "shop",
    pod: name,
    labels,
    workloads: [{ name: "web", kind: "Deployment" }],
  });
  ipCache.set(v4Text(pod), identity);
  ipCache.set(`2001:db8::${pod.toString(16)}`, identity);
}

function v4Text(pod: number): string {
  return `10.${pod >> 16}.${(pod >> 8) & 255}.${pod & 255}`;
}

function address(pod: number, version: number): number[] {
  return version === 4
    ? [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 255, 255, 10, pod >> 16, (pod >> 8) & 255, pod & 255]
    : [0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, pod >> 8, pod & 255];
}

/** What a ring would hold: 1,000 events of TCP connections between pods, eight bytes of header before each. */
function ring(version: number): Uint32Array {
  const words = new Uint32Array((EVENTS * RING_RECORD) / 4);
  for (let i = 0; i < EVENTS; i++) {
    words.set(
      event({
        ts_ns: BigInt(i) * 1_000_003n + 123_456_789_012_345n,
        src_addr: address((i * 7919) % PODS, version),
        dst_addr: address((i * 104729) % PODS, version),
        ip_version: version,
        protocol: IpProtocol.TCP,
        src_port: 32768 + i,
        dst_port: 443,
        tcp_flags: i % 3 === 0 ? TcpFlag.SYN : i % 3 === 1 ? TcpFlag.ACK : TcpFlag.ACK | TcpFlag.PSH,
        bytes: 60 + i,
        ifindex: 2 + (i % 50),
        observation_point: i % 4,
        traffic_direction: 1 + (i % 2),
        is_reply: i % 2,
        event_flags: EventFlag.TCP_TIMESTAMP,
        tcp_seq: i * 4_000_000,
        tcp_ack: i * 4_000_001,
        tcp_tsval: i,
        tcp_tsecr: i,
        total_packets_tx: i,
        total_bytes_tx: BigInt(i * 1000),
        total_packets_rx: i,
        total_bytes_rx: BigInt(i * 1000),
        ethernet: [2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1],
      }),
      (i * RING_RECORD) / 4 + 2,
    );
  }
  return words;
}

const interfaces = new InterfaceTable();
for (let ifindex = 2; ifindex < 52; ifindex++) interfaces.set(ifindex, `veth${ifindex.toString(16)}a2b3c4`);
const store = new FlowStore({ capacity: 65536, identities });
const context = {
  nodeName: "aks-nodepool1-12345678-vmss000001",
  uuidSalt: crypto.getRandomValues(new Uint8Array(16)),
  emitter: { name: "Retina", version: "0.1.0" },
  interfaceName: (index: number) => interfaces.name(index),
};
const view = new FlowView(store, context);
const encoder = new FlowEncoder(context);
const out = new Uint8Array(65_536);

function sinkOf(counters: typeof noCounters): (words: Uint32Array) => void {
  const sink = new RecordSink({ store, ipCache, counters, interfaces });
  sink.setWallOffset(...WALL);
  return (words) => {
    for (let i = 0; i < EVENTS; i++) sink.push(words, i * RING_RECORD + 8, RING_RECORD - 8);
    sink.flush();
  };
}

const v4Ring = ring(4), v6Ring = ring(6);
const push = sinkOf(new FlowMetrics());
// Compiled code and filled caches from the first iteration on; compare minima on a machine that is not quiet.
for (let i = 0; i < 200; i++) {
  push(i % 2 === 0 ? v4Ring : v6Ring);
  encodeAll(store.head - EVENTS, undefined);
}

Deno.bench("store push alone", { group: "1,000 events" }, () => {
  for (let i = 0; i < EVENTS; i++) {
    store.pushRecord(v4Ring, i * RING_RECORD + 8, RING_RECORD - 8, WALL[0], WALL[1], 5, 6, 1);
  }
});
Deno.bench("sink: two look-ups, slot, counters; IPv4", { group: "1,000 events", baseline: true }, () => push(v4Ring));
Deno.bench("sink: two look-ups, slot, counters; IPv6", { group: "1,000 events" }, () => push(v6Ring));

/** Positions of 1,000 stored flows of a ring. */
function stored(words: Uint32Array): number {
  push(words);
  return store.head - EVENTS;
}

function encodeAll(from: number, mask: ReturnType<typeof compileFieldMask>): number {
  let end = 0;
  for (let i = 0; i < EVENTS; i++) {
    const next = encoder.encodeFrame(view.moveTo(from + i), out, end, mask);
    // Full: as a stream would, send it and go on at its beginning.
    end = next === -1 ? encoder.encodeFrame(view, out, 0, mask) : next;
  }
  return end;
}

const CLI_MASK = compileFieldMask(
  ("time verdict ethernet IP l4 source.identity source.namespace source.pod_name destination.identity " +
    "destination.namespace destination.pod_name Type node_name l7 event_type source_service destination_service " +
    "is_reply Summary ip_trace_id").split(" "),
);
for (
  const [name, words, mask, baseline] of [
    ["encodeFrame, IPv4", v4Ring, undefined, true],
    ["encodeFrame, IPv6", v6Ring, undefined, false],
    ["encodeFrame, IPv4, the field mask of Hubble's command line", v4Ring, CLI_MASK, false],
  ] as const
) {
  Deno.bench(name, { group: "1,000 flows", baseline }, (b) => {
    const from = stored(words);
    b.start();
    encodeAll(from, mask);
    b.end();
  });
}

const replay = new FlowStore({ capacity: 1024, identities });
const replayView = new FlowView(replay, context);
const replayEncoder = new FlowEncoder(context);
for (let from = stored(v4Ring), i = 0; i < EVENTS; i++) replay.pushMessage(recordToFlow(view.moveTo(from + i)));

Deno.bench("encodeFrame, replayed flows, from the second reader on", { group: "1,000 flows" }, () => {
  let end = 0;
  for (let i = 0; i < EVENTS; i++) {
    const next = replayEncoder.encodeFrame(replayView.moveTo(i), out, end);
    end = next === -1 ? replayEncoder.encodeFrame(replayView, out, 0) : next;
  }
});

// The library gets the values ready as they are: no look-up, no address text, no uuid is on its bill.
const ready = ((from) => {
  return Array.from({ length: EVENTS }, (_, i) => {
    const { responseTypes, nodeName, time } = toResponse(view.moveTo(from + i));
    if (responseTypes.case !== "flow" || time === undefined) throw new Error("Expected a flow");
    const { $typeName: _name, $unknown: _unknown, ...flow } = responseTypes.value;
    return { responseTypes: { case: "flow" as const, value: flow }, nodeName, time };
  });
})(stored(v4Ring));

Deno.bench("protobuf-es: create + toBinary, IPv4", { group: "1,000 flows" }, () => {
  for (const response of ready) out.set(toBinary(GetFlowsResponseSchema, create(GetFlowsResponseSchema, response)), 5);
});
