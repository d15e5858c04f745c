import { writeVarint } from "./bytes.ts";
import { type EncoderPlan, FORCED } from "./encoder_plan.ts";
import { EVENT, EventFlag, IpProtocol, SLOT } from "./record.ts";
import { writeIPv4, writeIPv6, writeMac } from "./text.ts";
import { BILLION, restNanos, wholeSeconds } from "./time.ts";

/**
 * Writers of the fields that differ from packet to packet. Each returns the position behind what it wrote. All messages
 * here are shorter than 128 bytes, so that their length is one byte, filled in when it is known.
 */

/** Bytes that all writers of this file together may need. */
export const MAX_PARTS = 384;

/** Bytes that {@link writeTimes} leaves for the tag and the length of the flow. */
export const FLOW_HEADER = 3;

/** Tags of Flow's fields: number × 8 + wire type. */
const TAG = { time: 0x0a, ethernet: 0x22, ip: 0x2a, l4: 0x32 } as const;
/** Tag of GetFlowsResponse.time as it stands in memory, low byte first. */
const RESPONSE_TIME = 0x3eca;
const SECONDS = 0x08, NANOS = 0x10;
const FIRST_STRING = 0x0a, SECOND_STRING = 0x12, FIRST_NUMBER = 0x08, SECOND_NUMBER = 0x10, THIRD_NUMBER = 0x18;
const TCP = 0x0a, UDP = 0x12, ICMPV4 = 0x1a, ICMPV6 = 0x22, SCTP = 0x2a, TCP_FLAGS = 0x1a;

/** A number field with a one-byte tag, left out when zero as proto3 does. */
function number(out: Uint8Array, at: number, tag: number, value: number): number {
  if (value === 0) return at;
  out[at] = tag;
  return writeVarint(out, at + 1, value);
}

/**
 * The time of the record at `from`, twice: GetFlowsResponse.time, {@link FLOW_HEADER} bytes left free, and Flow.time.
 * The doubles stay in here: as arguments they would be boxed.
 */
export function writeTimes(
  out: Uint8Array,
  data: DataView,
  at: number,
  wanted: number,
  u32: Uint32Array,
  from: number,
): number {
  const rest = restNanos(u32, from), carry = Math.floor(rest / BILLION);
  const seconds = wholeSeconds(u32, from) + carry, nanos = rest - carry * BILLION;
  data.setUint16(at, RESPONSE_TIME, true);
  if ((wanted & 3) === 3 && seconds >= 0x10000000 && seconds <= 0xffffffff && nanos >= 0x200000) {
    // Always, but for a clock before 1978 and one flow in 500: five bytes of seconds, four or five of nanoseconds.
    const low = sevenBits(seconds) | 0x80808080, high = (seconds >>> 28) | (NANOS << 8);
    const long = nanos >= 0x10000000;
    const lowNanos = sevenBits(nanos) | (long ? 0x80808080 : 0x808080), highNanos = nanos >>> 28;
    const length = long ? 12 : 11;
    timestamp(out, data, at + 2, length, low, high, lowNanos, highNanos);
    const flow = at + 3 + length + FLOW_HEADER;
    out[flow] = TAG.time;
    timestamp(out, data, flow + 1, length, low, high, lowNanos, highNanos);
    return flow + 2 + length;
  }
  const flow = someTimestamp(out, at + 2, wanted, seconds, nanos) + FLOW_HEADER;
  out[flow] = TAG.time;
  return someTimestamp(out, flow + 1, wanted, seconds, nanos);
}

/** The low 28 bits as four times seven, each in a byte of its own: a varint without its continuation bits. */
function sevenBits(value: number): number {
  return (value & 0x7f) | ((value & 0x3f80) << 1) | ((value & 0x1fc000) << 2) | ((value & 0xfe00000) << 3);
}

/** A Timestamp of 11 or 12 bytes; with 11 the byte behind it is touched. */
function timestamp(
  out: Uint8Array,
  data: DataView,
  at: number,
  length: number,
  low: number,
  high: number,
  lowNanos: number,
  highNanos: number,
): void {
  out[at] = length;
  out[at + 1] = SECONDS;
  data.setUint32(at + 2, low, true);
  data.setUint16(at + 6, high, true);
  data.setUint32(at + 8, lowNanos, true);
  out[at + 12] = highNanos;
}

/** The wanted fields of any Timestamp, with its length. */
function someTimestamp(out: Uint8Array, at: number, wanted: number, seconds: number, nanos: number): number {
  let end = at + 1;
  if ((wanted & 1) !== 0) end = number(out, end, SECONDS, seconds);
  if ((wanted & 2) !== 0) end = number(out, end, NANOS, nanos);
  out[at] = end - at - 1;
  return end;
}

/** Flow.ethernet of the record at `from`. */
export function writeEthernet(
  out: Uint8Array,
  data: DataView,
  at: number,
  wanted: number,
  u8: Uint8Array,
  from: number,
): number {
  const present = (u8[from + EVENT.event_flags] & EventFlag.ETHERNET) !== 0;
  if (!present && (wanted & FORCED) === 0) return at;
  out[at] = TAG.ethernet;
  let end = at + 2;
  if (present && (wanted & 1) !== 0) {
    out[end] = FIRST_STRING;
    out[end + 1] = 17;
    end = writeMac(data, end + 2, u8, from + SLOT.ethernet_source);
  }
  if (present && (wanted & 2) !== 0) {
    out[end] = SECOND_STRING;
    out[end + 1] = 17;
    end = writeMac(data, end + 2, u8, from + SLOT.ethernet_destination);
  }
  out[at + 1] = end - at - 2;
  return end;
}

/** A string field that holds the IPv4 address of the 16 bytes at `from`. */
function address4(out: Uint8Array, data: DataView, at: number, tag: number, u8: Uint8Array, from: number): number {
  out[at] = tag;
  const end = writeIPv4(data, at + 2, u8, from + 12);
  out[at + 1] = end - at - 2;
  return end;
}

/** A string field that holds the IPv6 address at `from`. */
function address6(out: Uint8Array, data: DataView, at: number, tag: number, u8: Uint8Array, from: number): number {
  out[at] = tag;
  const end = writeIPv6(data, at + 2, u8, from);
  out[at + 1] = end - at - 2;
  return end;
}

/** Flow.IP of the record at `from`. */
export function writeIp(
  out: Uint8Array,
  data: DataView,
  at: number,
  wanted: number,
  u8: Uint8Array,
  from: number,
): number {
  const isV4 = u8[from + EVENT.ip_version] === 4;
  let end = at + 2;
  out[at] = TAG.ip;
  // Two branches with calls of their own, so that the short way is inlined.
  if (isV4) {
    if ((wanted & 1) !== 0) end = address4(out, data, end, FIRST_STRING, u8, from + EVENT.src_addr);
    if ((wanted & 2) !== 0) end = address4(out, data, end, SECOND_STRING, u8, from + EVENT.dst_addr);
  } else {
    if ((wanted & 1) !== 0) end = address6(out, data, end, FIRST_STRING, u8, from + EVENT.src_addr);
    if ((wanted & 2) !== 0) end = address6(out, data, end, SECOND_STRING, u8, from + EVENT.dst_addr);
  }
  if ((wanted & 4) !== 0) end = number(out, end, THIRD_NUMBER, isV4 ? 1 : 2);
  out[at + 1] = end - at - 2;
  return end;
}

/** A number field below 2^16 with a one-byte tag, in one store; up to two bytes behind it are touched. */
function short(data: DataView, at: number, tag: number, value: number): number {
  if (value < 0x80) {
    data.setUint16(at, tag | (value << 8), true);
    return value === 0 ? at : at + 2;
  }
  const two = tag | ((value & 127) << 8) | 0x8000 | ((value & 0x3f80) << 9);
  if (value < 0x4000) {
    data.setUint32(at, two, true);
    return at + 3;
  }
  data.setUint32(at, two | 0x800000 | ((value >>> 14) << 24), true);
  return at + 4;
}

/** TCPFlags: field i + 1 for flag 1 << i. */
function tcpFlags(out: Uint8Array, data: DataView, at: number, flags: number): number {
  let end = at + 2;
  out[at] = TCP_FLAGS;
  for (; flags !== 0; flags &= flags - 1) {
    const bit = 31 - Math.clz32(flags & -flags);
    data.setUint16(end, ((bit + 1) << 3) | 0x100, true);
    end += 2;
  }
  out[at + 1] = end - at - 2;
  return end;
}

/** Flow.l4 of the record at `from`; nothing for protocols that Hubble has no message for, and for later fragments. */
export function writeL4(
  out: Uint8Array,
  data: DataView,
  at: number,
  plan: EncoderPlan,
  u8: Uint8Array,
  u16: Uint16Array,
  from: number,
): number {
  const protocol = (u8[from + EVENT.event_flags] & EventFlag.FRAGMENT) === 0 ? u8[from + EVENT.protocol] : 0;
  let tag = 0, wanted = 0;
  switch (protocol) {
    case IpProtocol.TCP:
      tag = TCP;
      wanted = plan.tcp;
      break;
    case IpProtocol.UDP:
      tag = UDP;
      wanted = plan.udp;
      break;
    case IpProtocol.ICMP:
      tag = ICMPV4;
      wanted = plan.icmpv4;
      break;
    case IpProtocol.ICMPV6:
      tag = ICMPV6;
      wanted = plan.icmpv6;
      break;
    case IpProtocol.SCTP:
      tag = SCTP;
      wanted = plan.sctp;
  }
  if (tag === 0 && (plan.l4 & FORCED) === 0) return at;
  out[at] = TAG.l4;
  let end = at + 2;
  if (wanted !== 0) {
    out[end] = tag;
    const start = end + 2;
    end = start;
    if (tag === ICMPV4 || tag === ICMPV6) {
      if ((wanted & 1) !== 0) end = short(data, end, FIRST_NUMBER, u8[from + EVENT.icmp_type]);
      if ((wanted & 2) !== 0) end = short(data, end, SECOND_NUMBER, u8[from + EVENT.icmp_code]);
    } else {
      if ((wanted & 1) !== 0) end = short(data, end, FIRST_NUMBER, u16[(from + EVENT.src_port) >>> 1]);
      if ((wanted & 2) !== 0) end = short(data, end, SECOND_NUMBER, u16[(from + EVENT.dst_port) >>> 1]);
    }
    if (tag === TCP && plan.tcpFlags !== 0) {
      end = tcpFlags(out, data, end, u16[(from + EVENT.tcp_flags) >>> 1] & plan.tcpFlags & 511);
    }
    out[start - 1] = end - start;
  }
  out[at + 1] = end - at - 2;
  return end;
}
