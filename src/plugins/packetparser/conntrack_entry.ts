/**
 * Reader of CONNTRACK entries (`bpf/conntrack.h`), and the last event of a connection.
 *
 * What conntrack held back is told by the next event of its direction. When there is none because the connection fell silent, the
 * collector writes that event in the kernel's place, so that sums over the events stay exact.
 */
import {
  EVENT,
  EVENT_SIZE,
  EventFlag,
  IpProtocol,
  ObservationPoint,
  TcpFlag,
  TrafficDirection,
} from "../../flow/record.ts";

/** Size of `struct conntrack_key` and `struct conntrack_entry` in bytes. */
export const KEY_SIZE = 48;
export const ENTRY_SIZE = 128;

/** Byte offsets within `struct conntrack_key`. */
export const KEY = {
  low_addr: 0,
  high_addr: 16,
  low_port: 32,
  high_port: 34,
  ifindex: 36,
  vlan_id: 40,
  protocol: 42,
} as const;
/** Byte offsets within `struct conntrack_entry`. */
export const ENTRY = { expires_ns: 0, flags_seen: 8, fin_seen: 12, initiator: 14, state: 15, side: 16 } as const;
/** Byte offsets within `struct conntrack_side`. */
export const SIDE = {
  held: 0,
  held_flags: 8,
  held_rare: 16,
  spilled_bytes: 24,
  reported_bytes: 32,
  next_report_ns: 40,
  reported_packets: 48,
  spilled_packets: 52,
} as const;
/** Size of `struct conntrack_side` in bytes. */
export const SIDE_SIZE = 56;

/** Bits of `conntrack_entry.initiator`. */
const Initiator = { HIGH: 0x01, INSIDE_HIGH: 0x04, INSIDE_NODE: 0x08 } as const;
const CLOSED = 1;

/** Widths of the packed lanes, `bpf/conntrack.h`. */
const HELD_BYTES_BITS = 36n;
const FLAG_LANE_BITS = 16n;
const RARE_BITS = 10n;

/** An event's 32-bit counts are kept below this, so that one more packet always fits. */
const MAX_COUNT = 2 ** 31;
/** Order of the lanes of `held_rare`, with the event's field for each. */
const RARE = [
  [TcpFlag.FIN, EVENT.held_fin],
  [TcpFlag.SYN, EVENT.held_syn],
  [TcpFlag.RST, EVENT.held_rst],
  [TcpFlag.URG, EVENT.held_urg],
  [TcpFlag.ECE, EVENT.held_ece],
  [TcpFlag.CWR, EVENT.held_cwr],
] as const;

/** What one end sent and no event has told. */
interface Held {
  packets: number;
  bytes: number;
  psh: number;
  ns: number;
  withoutAck: number;
  rare: number[];
}

/** Nanoseconds until which an entry lives, on the monotonic clock; exact to some nanoseconds. */
export function expiresNanos(words: Uint32Array, at: number): number {
  const word = (at + ENTRY.expires_ns) >>> 2;
  return words[word + 1] * 2 ** 32 + words[word];
}

/** Whether anything at all may be held back in an entry: a quick look, most entries have nothing. */
export function holdsBack(words: Uint32Array): boolean {
  for (const side of [ENTRY.side, ENTRY.side + SIDE_SIZE]) {
    const word = (side + SIDE.held) >>> 2;
    if ((words[word] | words[word + 1] | words[(side + SIDE.spilled_packets) >>> 2]) !== 0) return true;
  }
  return false;
}

/**
 * Writes the events that are still owed for an entry: for each direction with held-back packets one, or several when the counts do not fit.
 *
 * The event looks like one of a packet of average size that tells of the others; flags that every packet had are its own.
 *
 * @param key `struct conntrack_key`
 * @param entry `struct conntrack_entry`
 * @param nanos time stamp for the events, on the clock of the kernel's
 * @param emit called with each event; the bytes are valid only during the call
 * @returns the packets that the events tell of
 */
export function lastEvents(
  key: DataView,
  entry: DataView,
  nanos: bigint,
  emit: (words: Uint32Array, length: number) => void,
): number {
  let told = 0;
  for (const side of [0, 1] as const) {
    const held = readHeld(entry, ENTRY.side + side * SIDE_SIZE);
    while (held.packets > 0) {
      const words = new Uint32Array(EVENT_SIZE / 4);
      const event = new DataView(words.buffer);
      event.setBigUint64(EVENT.ts_ns, nanos, true);
      writeConnection(event, key, entry, side);
      told += writeHeld(event, held, key.getUint8(KEY.protocol) === IpProtocol.TCP && !isFragment(key));
      emit(words, EVENT_SIZE);
    }
  }
  return told;
}

function readHeld(entry: DataView, at: number): Held {
  const [packets, bytes] = lanes(entry.getBigUint64(at + SIDE.held, true), HELD_BYTES_BITS, 1);
  const [psh, ns, withoutAck] = lanes(entry.getBigUint64(at + SIDE.held_flags, true), FLAG_LANE_BITS, 2);
  const rare = lanes(entry.getBigUint64(at + SIDE.held_rare, true), RARE_BITS, RARE.length).slice(1);
  return {
    packets: positive(packets) + positive(entry.getInt32(at + SIDE.spilled_packets, true)),
    bytes: positive(bytes) + positive(Number(entry.getBigInt64(at + SIDE.spilled_bytes, true))),
    ...{ psh: positive(psh), ns: positive(ns), withoutAck: positive(withoutAck), rare: rare.map(positive) },
  };
}

/** Splits packed signed lanes: what is above the lanes first, then the lanes from the lowest. A negative lane has borrowed from the next. */
function lanes(packed: bigint, bits: bigint, count: number): number[] {
  const values: number[] = [];
  let rest = BigInt.asIntN(64, packed);
  for (let index = 0; index < count; index++) {
    const lane = BigInt.asIntN(Number(bits), rest);
    values.push(Number(lane));
    rest = (rest - lane) >> bits;
  }
  return [Number(rest), ...values];
}

function writeConnection(event: DataView, key: DataView, entry: DataView, side: 0 | 1): void {
  const bits = entry.getUint8(ENTRY.initiator);
  const initiator = bits & Initiator.HIGH;
  const outgoing = side === ((bits & Initiator.INSIDE_HIGH) !== 0 ? 1 : 0);
  const isReply = side !== initiator;
  copyAddress(event, EVENT.src_addr, key, side === 0 ? KEY.low_addr : KEY.high_addr);
  copyAddress(event, EVENT.dst_addr, key, side === 0 ? KEY.high_addr : KEY.low_addr);
  const protocol = key.getUint8(KEY.protocol);
  let flags = entry.getUint8(ENTRY.state) === CLOSED ? EventFlag.CLOSED : 0;
  if (isFragment(key)) flags |= EventFlag.FRAGMENT;
  event.setUint8(EVENT.event_flags, flags);
  if (hasPorts(protocol)) {
    event.setUint16(EVENT.src_port, key.getUint16(side === 0 ? KEY.low_port : KEY.high_port, true), true);
    event.setUint16(EVENT.dst_port, key.getUint16(side === 0 ? KEY.high_port : KEY.low_port, true), true);
  }
  event.setUint32(EVENT.ifindex, key.getUint32(KEY.ifindex, true), true);
  event.setUint16(EVENT.vlan_id, key.getUint16(KEY.vlan_id, true), true);
  event.setUint8(EVENT.protocol, protocol);
  event.setUint8(EVENT.ip_version, isMapped(key) ? 4 : 6);
  writeIcmp(event, key, side, isReply);
  const points = (bits & Initiator.INSIDE_NODE) !== 0
    ? { out: ObservationPoint.TO_NETWORK, in: ObservationPoint.FROM_NETWORK }
    : { out: ObservationPoint.FROM_ENDPOINT, in: ObservationPoint.TO_ENDPOINT };
  event.setUint8(EVENT.observation_point, outgoing ? points.out : points.in);
  event.setUint8(EVENT.traffic_direction, outgoing !== isReply ? TrafficDirection.EGRESS : TrafficDirection.INGRESS);
  event.setUint8(EVENT.is_reply, isReply ? 1 : 0);
  writeTotals(event, entry, ENTRY.side + initiator * SIDE_SIZE, EVENT.total_packets_tx, EVENT.total_bytes_tx);
  writeTotals(event, entry, ENTRY.side + (1 - initiator) * SIDE_SIZE, EVENT.total_packets_rx, EVENT.total_bytes_rx);
}

/** Types of ICMP and ICMPv6 echo messages, request first. */
const ECHO = { [IpProtocol.ICMP]: [8, 0], [IpProtocol.ICMPV6]: [128, 129] } as const;

/** The key of an echo has its identifier twice; that of any other message has type and code, and their complement. */
function writeIcmp(event: DataView, key: DataView, side: 0 | 1, isReply: boolean): void {
  const protocol = key.getUint8(KEY.protocol);
  if (protocol !== IpProtocol.ICMP && protocol !== IpProtocol.ICMPV6) return;
  const own = key.getUint16(side === 0 ? KEY.low_port : KEY.high_port, true);
  const other = key.getUint16(side === 0 ? KEY.high_port : KEY.low_port, true);
  if (own === other) {
    event.setUint8(EVENT.icmp_type, ECHO[protocol][isReply ? 1 : 0]);
  } else {
    event.setUint8(EVENT.icmp_type, own >>> 8);
    event.setUint8(EVENT.icmp_code, own & 0xff);
  }
}

/** Totals are reported + spilled + held back; the kernel's counters wrap at their width. */
function writeTotals(event: DataView, entry: DataView, at: number, packetsField: number, bytesField: number): void {
  const [heldPackets, heldBytes] = lanes(entry.getBigUint64(at + SIDE.held, true), HELD_BYTES_BITS, 1);
  const packets = entry.getUint32(at + SIDE.reported_packets, true) + entry.getUint32(at + SIDE.spilled_packets, true) +
    heldPackets;
  const bytes = entry.getBigUint64(at + SIDE.reported_bytes, true) + entry.getBigUint64(at + SIDE.spilled_bytes, true) +
    BigInt(heldBytes);
  event.setUint32(packetsField, packets, true); // modulo 2^32
  event.setBigUint64(bytesField, BigInt.asUintN(64, bytes), true);
}

/** Takes as much as fits from what is held and writes it. Returns the packets. */
function writeHeld(event: DataView, held: Held, isTcp: boolean): number {
  // Equal parts, so that each event's packets have a size that packets can have.
  const parts = Math.max(Math.ceil(held.packets / MAX_COUNT), Math.floor(held.bytes / MAX_COUNT) + 1);
  const taken = Math.max(1, Math.floor(held.packets / parts));
  const bytes = Math.floor(held.bytes / parts);
  const own = Math.floor(bytes / taken);
  event.setUint32(EVENT.bytes, own, true);
  event.setUint32(EVENT.held_bytes, bytes - own, true);
  event.setUint32(EVENT.held_packets, taken - 1, true);
  if (isTcp) writeFlags(event, held, taken);
  held.packets -= taken;
  held.bytes -= bytes;
  return taken;
}

function writeFlags(event: DataView, held: Held, packets: number): void {
  let flags = 0;
  /** Writes a count of packets with a flag: the event's own is one of them if all have it. Returns what does not fit. */
  const write = (flag: number, count: number, limit: number, set: (value: number) => void): number => {
    const own = count >= packets ? 1 : 0;
    if (own === 1) flags |= flag;
    const told = Math.min(count, packets) - own;
    set(Math.min(told, limit));
    return count - own - Math.min(told, limit);
  };
  const withoutAck = Math.min(held.withoutAck, packets);
  write(TcpFlag.ACK, packets - withoutAck, MAX_COUNT, (value) => event.setUint32(EVENT.held_ack, value, true));
  held.withoutAck -= withoutAck;
  held.psh = write(TcpFlag.PSH, held.psh, MAX_COUNT, (value) => event.setUint32(EVENT.held_psh, value, true));
  held.ns = write(TcpFlag.NS, held.ns, 255, (value) => event.setUint8(EVENT.held_ns, value));
  for (const [index, [flag, field]] of RARE.entries()) {
    held.rare[index] = write(flag, held.rare[index], 255, (value) => event.setUint8(field, value));
  }
  event.setUint16(EVENT.tcp_flags, flags, true);
}

function copyAddress(event: DataView, to: number, key: DataView, from: number): void {
  event.setBigUint64(to, key.getBigUint64(from, true), true);
  event.setBigUint64(to + 8, key.getBigUint64(from + 8, true), true);
}

function hasPorts(protocol: number): boolean {
  return protocol === IpProtocol.TCP || protocol === IpProtocol.UDP || protocol === IpProtocol.SCTP;
}

/** Fragments other than the first are tracked without ports, and nobody uses port 0 at both ends. */
function isFragment(key: DataView): boolean {
  return hasPorts(key.getUint8(KEY.protocol)) && key.getUint32(KEY.low_port, true) === 0;
}

function isMapped(key: DataView): boolean {
  return key.getBigUint64(KEY.low_addr, true) === 0n && key.getUint32(KEY.low_addr + 8, true) === 0xffff_0000;
}

function positive(value: number): number {
  return Math.max(0, value);
}
