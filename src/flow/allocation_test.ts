import assert from "node:assert/strict";
import { IpCache } from "../identity/ip_cache.ts";
import { makeIdentity } from "../identity/make.ts";
import { noCounters } from "./counters.ts";
import { FlowEncoder } from "./encoder.ts";
import { compileFieldMask } from "./field_mask.ts";
import { EventFlag, IpProtocol, TcpFlag } from "./record.ts";
import { RecordSink } from "./sink.ts";
import { event, fixture } from "./test_support.ts";

/** Few enough that most tries end before a collection comes. */
const ROUNDS = 10_000;
const WARM_UP = 300_000;

/** Heap bytes that a round leaves behind: the median of some tries, because collections come in between. */
function bytesPerRound(round: (i: number) => void): number {
  for (let i = 0; i < WARM_UP; i++) round(i);
  const grown = Array.from({ length: 7 }, () => {
    const before = Deno.memoryUsage().heapUsed;
    for (let i = 0; i < ROUNDS; i++) round(i);
    return (Deno.memoryUsage().heapUsed - before) / ROUNDS;
  });
  return grown.sort((a, b) => a - b)[3];
}

function setUp() {
  const { store, view, context, identities, interfaces } = fixture({ capacity: 1024 });
  const ipCache = new IpCache(identities);
  ipCache.set("10.0.0.1", makeIdentity({ numeric: 300, namespace: "shop", pod: "web", labels: ["k8s:app=web"] }));
  interfaces.set(3, "eth0");
  const sink = new RecordSink({ store, ipCache, counters: noCounters, interfaces });
  sink.setWallOffset(1_763_769_600, 123_456_789);
  // Large values everywhere: the ones that do not fit a small integer are what gets boxed.
  const words = event({
    ts_ns: 9_007_199_254_740_995n,
    ip_version: 4,
    protocol: IpProtocol.TCP,
    tcp_flags: TcpFlag.ACK,
    event_flags: EventFlag.TCP_TIMESTAMP,
    ifindex: 3,
    tcp_seq: 4_294_967_295,
    tcp_ack: 4_294_967_294,
    total_packets_tx: 4_294_967_295,
    total_bytes_tx: 1n << 60n,
    held_packets: 3_000_000_000,
    held_bytes: 3_000_000_000,
    held_ack: 3_000_000_000,
    ethernet: [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12],
  });
  return { store, view, encoder: new FlowEncoder(context), sink, words };
}

Deno.test("taking in an event allocates nothing", () => {
  const { sink, words } = setUp();
  const bytes = bytesPerRound(() => sink.push(words, 0, 144));
  assert.ok(bytes < 4, `${bytes} bytes an event`);
});

Deno.test("encoding a flow allocates nothing, masked or not", () => {
  const { sink, words, view, encoder } = setUp();
  for (let i = 0; i < 1024; i++) sink.push(words, 0, 144);
  const out = new Uint8Array(4096);
  for (const mask of [undefined, compileFieldMask(["time", "IP", "source.pod_name", "extensions"])]) {
    const bytes = bytesPerRound((i) => void encoder.encodeFrame(view.moveTo(i & 1023), out, 0, mask));
    assert.ok(bytes < 4, `${bytes} bytes a flow`);
  }
});

Deno.test("what this file measures is seen", () => {
  const kept: number[][] = [];
  assert.ok(bytesPerRound((i) => void (kept[i & 1] = [i])) >= 16);
});
