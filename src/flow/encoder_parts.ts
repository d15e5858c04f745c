import { writeVarint } from "./bytes.ts";
import { type EncoderPlan, FORCED } from "./encoder_plan.ts";
import { EVENT, EventFlag, IpProtocol, SLOT } from "./record.ts";
import { writeAddress, writeMac } from "./text.ts";
import { BILLION, restNanos, wholeSeconds } from "./time.ts";

/**
 * Writers of the fields that differ from packet to packet. Each returns the position behind what it wrote. All messages
 * here are shorter than 128 bytes, so that their length is one byte, filled in when it is known.
 */

/** Bytes that all writers of this file together may need. */
export const MAX_PARTS = 384;

/** Tags of Flow's fields: number × 8 + wire type, below 16 in one byte, else in two. */
const TAG = { time: 0x0a, ethernet: 0x22, ip: 0x2a, l4: 0x32 } as const;
const SECONDS = 0x08, NANOS = 0x10;
const FIRST_STRING = 0x0a, SECOND_STRING = 0x12, FIRST_NUMBER = 0x08, SECOND_NUMBER = 0x10, THIRD_NUMBER = 0x18;
const TCP = 0x0a, UDP = 0x12, ICMPV4 = 0x1a, ICMPV6 = 0x22, SCTP = 0x2a, TCP_FLAGS = 0x1a;

/** A number field with a one-byte tag, left out when zero as proto3 does. */
function number(out: Uint8Array, at: number, tag: number, value: number): number {
  if (value === 0) return at;
  out[at] = tag;
  return writeVarint(out, at + 1, value);
}

/** Flow.time of the record at `from`. The doubles stay in here: as arguments they would be boxed. */
export function writeTime(out: Uint8Array, at: number, wanted: number, u32: Uint32Array, from: number): number {
  const rest = restNanos(u32, from), carry = Math.floor(rest / BILLION);
  const seconds = wholeSeconds(u32, from) + carry, nanos = rest - carry * BILLION;
  let end = at + 2;
  out[at] = TAG.time;
  if ((wanted & 1) !== 0) end = number(out, end, SECONDS, seconds);
  if ((wanted & 2) !== 0) end = number(out, end, NANOS, nanos);
  out[at + 1] = end - at - 2;
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

/** A string field that holds the address at `from`. */
function address(
  out: Uint8Array,
  data: DataView,
  at: number,
  tag: number,
  u8: Uint8Array,
  from: number,
  ipVersion: number,
): number {
  out[at] = tag;
  const end = writeAddress(data, at + 2, u8, from, ipVersion);
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
  const ipVersion = u8[from + EVENT.ip_version];
  let end = at + 2;
  out[at] = TAG.ip;
  if ((wanted & 1) !== 0) end = address(out, data, end, FIRST_STRING, u8, from + EVENT.src_addr, ipVersion);
  if ((wanted & 2) !== 0) end = address(out, data, end, SECOND_STRING, u8, from + EVENT.dst_addr, ipVersion);
  if ((wanted & 4) !== 0) end = number(out, end, THIRD_NUMBER, ipVersion === 4 ? 1 : 2);
  out[at + 1] = end - at - 2;
  return end;
}

/** Two number fields: ports, or type and code. */
function pair(out: Uint8Array, at: number, wanted: number, first: number, second: number): number {
  if ((wanted & 1) !== 0) at = number(out, at, FIRST_NUMBER, first);
  if ((wanted & 2) !== 0) at = number(out, at, SECOND_NUMBER, second);
  return at;
}

/** TCPFlags: field i + 1 for flag 1 << i. */
function tcpFlags(out: Uint8Array, at: number, flags: number): number {
  let end = at + 2;
  out[at] = TCP_FLAGS;
  for (let tag = 8; flags !== 0; tag += 8, flags >>>= 1) {
    if ((flags & 1) === 0) continue;
    out[end] = tag;
    out[end + 1] = 1;
    end += 2;
  }
  out[at + 1] = end - at - 2;
  return end;
}

/** Flow.l4 of the record at `from`; nothing for protocols that Hubble has no message for, and for later fragments. */
export function writeL4(
  out: Uint8Array,
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
    const isIcmp = tag === ICMPV4 || tag === ICMPV6;
    end = isIcmp
      ? pair(out, start, wanted, u8[from + EVENT.icmp_type], u8[from + EVENT.icmp_code])
      : pair(out, start, wanted, u16[(from + EVENT.src_port) >>> 1], u16[(from + EVENT.dst_port) >>> 1]);
    if (tag === TCP && plan.tcpFlags !== 0) {
      end = tcpFlags(out, end, u16[(from + EVENT.tcp_flags) >>> 1] & plan.tcpFlags & 511);
    }
    out[start - 1] = end - start;
  }
  out[at + 1] = end - at - 2;
  return end;
}
