import assert from "node:assert/strict";
import fc from "fast-check";
import { EVENT, EVENT_SIZE } from "../../flow/record.ts";
import {
  ENTRY,
  ENTRY_SIZE,
  expiresNanos,
  holdsBack,
  KEY,
  KEY_SIZE,
  lastEvents,
  SIDE,
  SIDE_SIZE,
} from "./conntrack_entry.ts";

/** What one end has sent, unpacked; everything else is zero. */
interface Sent {
  packets?: number;
  bytes?: number;
  psh?: number;
  ns?: number;
  withoutAck?: number;
  rare?: number[];
  spilledPackets?: number;
  spilledBytes?: number;
  reportedPackets?: number;
  reportedBytes?: number;
}

/** Packs lanes as `bpf/conntrack.h` does: each is added at its place, so a negative one borrows from the next. */
function pack(values: readonly [value: number, shift: number][]): bigint {
  return BigInt.asUintN(64, values.reduce((sum, [value, shift]) => sum + (BigInt(value) << BigInt(shift)), 0n));
}

function entry(initiator: number, low: Sent, high: Sent = {}, state = 0): DataView {
  const view = new DataView(new ArrayBuffer(ENTRY_SIZE));
  view.setUint8(ENTRY.initiator, initiator);
  view.setUint8(ENTRY.state, state);
  for (const [index, sent] of [low, high].entries()) {
    const at = ENTRY.side + index * SIDE_SIZE;
    const rare = sent.rare ?? [];
    view.setBigUint64(at + SIDE.held, pack([[sent.packets ?? 0, 36], [sent.bytes ?? 0, 0]]), true);
    const flags = pack([[sent.psh ?? 0, 32], [sent.withoutAck ?? 0, 16], [sent.ns ?? 0, 0]]);
    view.setBigUint64(at + SIDE.held_flags, flags, true);
    view.setBigUint64(at + SIDE.held_rare, pack(rare.map((count, lane) => [count, 10 * lane])), true);
    view.setBigUint64(at + SIDE.spilled_bytes, BigInt(sent.spilledBytes ?? 0), true);
    view.setUint32(at + SIDE.spilled_packets, sent.spilledPackets ?? 0, true);
    view.setBigUint64(at + SIDE.reported_bytes, BigInt.asUintN(64, BigInt(sent.reportedBytes ?? 0)), true);
    view.setInt32(at + SIDE.reported_packets, sent.reportedPackets ?? 0, true);
  }
  return view;
}

/** 10.0.0.1:1000 is low, 10.0.0.2:53 is high. */
function key(protocol: number, lowPort = 1000, highPort = 53): DataView {
  const view = new DataView(new ArrayBuffer(KEY_SIZE));
  for (const [index, at] of [KEY.low_addr, KEY.high_addr].entries()) {
    view.setUint16(at + 10, 0xffff, false);
    view.setUint32(at + 12, 0x0a000001 + index, false);
  }
  view.setUint16(KEY.low_port, lowPort, true);
  view.setUint16(KEY.high_port, highPort, true);
  view.setUint32(KEY.ifindex, 7, true);
  view.setUint16(KEY.vlan_id, 42, true);
  view.setUint8(KEY.protocol, protocol);
  return view;
}

function events(key: DataView, entry: DataView): DataView[] {
  const all: DataView[] = [];
  lastEvents(key, entry, 123n, (words, length) => {
    assert.equal(length, EVENT_SIZE);
    all.push(new DataView(words.slice().buffer));
  });
  return all;
}

const source = (event: DataView) => `${event.getUint8(EVENT.src_addr + 15)}:${event.getUint16(EVENT.src_port, true)}`;
const INITIATOR_HIGH = 1;
const INSIDE_HIGH = 4;
const INSIDE_NODE = 8;

Deno.test("lastEvents() tells of what is held back, in each direction", () => {
  const [low, high, ...more] = events(
    key(17),
    entry(0, { packets: 3, bytes: 301, reportedPackets: 1, reportedBytes: 100 }, { packets: 1, bytes: 500 }),
  );
  assert.equal(more.length, 0);
  assert.deepEqual([source(low), source(high)], ["1:1000", "2:53"]);
  assert.equal(low.getBigUint64(EVENT.ts_ns, true), 123n);
  assert.equal(low.getUint32(EVENT.bytes, true), 100);
  assert.equal(low.getUint32(EVENT.held_bytes, true), 201);
  assert.equal(low.getUint32(EVENT.held_packets, true), 2);
  assert.equal(low.getUint32(EVENT.total_packets_tx, true), 4);
  assert.equal(low.getBigUint64(EVENT.total_bytes_tx, true), 401n);
  assert.equal(low.getUint32(EVENT.total_packets_rx, true), 1);
  assert.equal(high.getUint32(EVENT.held_packets, true), 0);
  assert.deepEqual([low.getUint8(EVENT.is_reply), high.getUint8(EVENT.is_reply)], [0, 1]);
  assert.equal(low.getUint32(EVENT.ifindex, true), 7);
  assert.equal(low.getUint16(EVENT.vlan_id, true), 42);
  assert.equal(low.getUint8(EVENT.ip_version), 4);
  assert.equal(low.getUint16(EVENT.tcp_flags, true), 0);
});

Deno.test("lastEvents() says nothing when nothing is held back, or a race left a debt", () => {
  assert.deepEqual(events(key(17), entry(0, { reportedPackets: 9 })), []);
  assert.deepEqual(events(key(17), entry(0, { packets: -2, bytes: -120 }, { packets: 0, bytes: -5 })), []);
});

Deno.test("lastEvents() puts the event at the point where the packets were seen", () => {
  const cases = [
    // initiator bits, who sent, point, direction
    [0, "low", 0, 2], // low is the pod and opened: from the endpoint, egress
    [0, "high", 1, 2], // its answer comes to the endpoint
    [INITIATOR_HIGH, "low", 0, 1], // low is the pod and answers: ingress connection
    [INSIDE_HIGH, "low", 1, 1], // low comes from outside to the pod
    [INSIDE_NODE, "low", 3, 2], // low is the node and opened: to the network
    [INSIDE_NODE | INSIDE_HIGH | INITIATOR_HIGH, "low", 2, 2], // an answer from the network
    [INSIDE_NODE | INSIDE_HIGH, "low", 2, 1], // opened from the network
  ] as const;
  for (const [bits, sender, point, direction] of cases) {
    const sent = { packets: 1, bytes: 60 };
    const [event] = events(key(6), sender === "low" ? entry(bits, sent) : entry(bits, {}, sent));
    assert.equal(event.getUint8(EVENT.observation_point), point, `point for ${bits} ${sender}`);
    assert.equal(event.getUint8(EVENT.traffic_direction), direction, `direction for ${bits} ${sender}`);
  }
});

Deno.test("lastEvents() gives the event the flags that all packets had, and counts the others", () => {
  const [event] = events(key(6), entry(0, { packets: 10, bytes: 1000, psh: 4, withoutAck: 0, rare: [2, 0, 10] }));
  assert.equal(event.getUint16(EVENT.tcp_flags, true), 0x14, "ACK and RST");
  assert.equal(event.getUint32(EVENT.held_ack, true), 9);
  assert.equal(event.getUint32(EVENT.held_psh, true), 4);
  assert.equal(event.getUint8(EVENT.held_fin), 2);
  assert.equal(event.getUint8(EVENT.held_rst), 9);
  const [single] = events(key(6), entry(0, { packets: 1, bytes: 60, psh: 1, withoutAck: 1 }, {}, 1));
  assert.equal(single.getUint16(EVENT.tcp_flags, true), 0x08);
  assert.equal(single.getUint8(EVENT.event_flags), 0x08, "EVENT_CLOSED");
});

Deno.test("lastEvents() tells ICMP and fragments apart", () => {
  const sent = { packets: 1, bytes: 98 };
  const type = (
    event: DataView,
  ) => [event.getUint8(EVENT.icmp_type), event.getUint8(EVENT.icmp_code), event.getUint16(EVENT.src_port, true)];
  assert.deepEqual(events(key(1, 77, 77), entry(0, sent, sent)).map(type), [[8, 0, 0], [0, 0, 0]]);
  assert.deepEqual(events(key(58, 77, 77), entry(0, sent, sent)).map(type), [[128, 0, 0], [129, 0, 0]]);
  assert.deepEqual(events(key(1, 0x0301, 0xfcfe), entry(0, sent)).map(type), [[3, 1, 0]]);
  const [fragment] = events(key(6, 0, 0), entry(0, sent));
  assert.deepEqual([fragment.getUint8(EVENT.event_flags), fragment.getUint16(EVENT.tcp_flags, true)], [4, 0]);
});

Deno.test("the last events add up to what was held back, however much it was", () => {
  const count = (max: number) => fc.integer({ min: 0, max });
  const sent = fc.record({
    packets: count(2 ** 24),
    bytes: count(2 ** 35 - 1),
    spilledPackets: count(2 ** 31 - 1),
    spilledBytes: count(2 ** 34),
    psh: count(2 ** 24),
    rare: fc.tuple(count(255), count(255), count(255), count(255), count(255), count(255)),
  }).filter(({ packets, bytes, spilledPackets, spilledBytes }) =>
    // No packet is shorter than 20 bytes or, with segmentation offload, longer than 512 KiB.
    bytes + spilledBytes <= 2 ** 19 * (packets + spilledPackets) && packets + spilledPackets < 2 ** 33
  );
  fc.assert(
    fc.property(sent, (sent) => {
      const total = { packets: 0, bytes: 0, fin: 0 };
      for (const event of events(key(6), entry(0, sent))) {
        total.packets += 1 + event.getUint32(EVENT.held_packets, true);
        total.bytes += event.getUint32(EVENT.bytes, true) + event.getUint32(EVENT.held_bytes, true);
        total.fin += event.getUint8(EVENT.held_fin) + (event.getUint16(EVENT.tcp_flags, true) & 1);
      }
      assert.equal(total.packets, sent.packets + sent.spilledPackets);
      assert.equal(total.bytes, sent.bytes + sent.spilledBytes);
      assert.ok(total.fin <= sent.rare[0]);
    }),
    { numRuns: 200 },
  );
});

Deno.test("holdsBack() looks at both ends", () => {
  const words = (view: DataView) => new Uint32Array(view.buffer);
  assert.equal(holdsBack(words(entry(3, { reportedPackets: 5, reportedBytes: 500 }))), false);
  for (const sent of [{ packets: 1 }, { spilledPackets: 1 }]) {
    assert.equal(holdsBack(words(entry(0, sent))), true);
    assert.equal(holdsBack(words(entry(0, {}, sent))), true);
  }
});

Deno.test("expiresNanos() reads 64 bits", () => {
  const view = entry(0, {});
  view.setBigUint64(ENTRY.expires_ns, 3_600_000_000_000n, true);
  assert.equal(expiresNanos(new Uint32Array(view.buffer), 0), 3_600_000_000_000);
});
