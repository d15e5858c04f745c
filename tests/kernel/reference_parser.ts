/**
 * A plain parser of packets, written from the RFCs and not from the C code: what the fuzz test compares the kernel with.
 *
 * It knows three limits of the product, which are no standard's: two VLAN tags, eight IPv6 extension headers, sixteen TCP options.
 */
import { EventFlag, IpProtocol } from "../../src/flow/record.ts";
import { formatAddress } from "../../src/identity/address.ts";
import type { Event } from "./event.ts";

/** What an event says of its packet alone, without the connection. */
export type PacketFields = Pick<
  Event,
  | "src_addr"
  | "dst_addr"
  | "bytes"
  | "src_port"
  | "dst_port"
  | "tcp_flags"
  | "vlan_id"
  | "protocol"
  | "ip_version"
  | "icmp_type"
  | "icmp_code"
  | "event_flags"
  | "tcp_seq"
  | "tcp_ack"
  | "tcp_tsval"
  | "tcp_tsecr"
>;

/** Why a packet is ignored: `enum stat` without prefix. */
export class Ignored {
  constructor(readonly reason: string) {}
}

/** Reads a packet from a position; whatever lies behind `end` is not there. */
interface Cursor {
  readonly view: DataView;
  at: number;
  end: number;
}

const MAX_VLANS = 2;
const MAX_EXTENSIONS = 8;
const MAX_OPTIONS = 16;
const HOP_BY_HOP = 0, ROUTING = 43, FRAGMENT = 44, AUTHENTICATION = 51, DESTINATION_OPTIONS = 60;

/** The fields that the kernel must find, or why it must ignore the packet. */
export function parsePacket(packet: Uint8Array, hasEthernet: boolean): PacketFields | Ignored {
  const cursor: Cursor = {
    view: new DataView(packet.buffer, packet.byteOffset, packet.byteLength),
    at: 0,
    end: packet.length,
  };
  const fields = {
    ...{ src_addr: "", dst_addr: "", bytes: packet.length, src_port: 0, dst_port: 0, tcp_flags: 0, vlan_id: 0 },
    ...{ protocol: 0, ip_version: 0, icmp_type: 0, icmp_code: 0, event_flags: hasEthernet ? EventFlag.ETHERNET : 0 },
    ...{ tcp_seq: 0, tcp_ack: 0, tcp_tsval: 0, tcp_tsecr: 0 },
  };
  try {
    const version = hasEthernet ? readLink(cursor, fields) : readVersion(cursor);
    const isLaterFragment = version === 4 ? readIpv4(cursor, fields) : readIpv6(cursor, fields);
    if (isLaterFragment) fields.event_flags |= EventFlag.FRAGMENT;
    else readUpper(cursor, fields);
    return fields;
  } catch (error) {
    if (error instanceof Ignored) return error;
    throw error;
  }
}

type Fields = { -readonly [Name in keyof PacketFields]: PacketFields[Name] };

function need(cursor: Cursor, length: number, reason: string): void {
  if (cursor.at + length > cursor.end) throw new Ignored(reason);
}

function readLink(cursor: Cursor, fields: Fields): 4 | 6 {
  need(cursor, 14, "L2_TRUNCATED");
  let type = cursor.view.getUint16(12);
  cursor.at = 14;
  for (let tags = 0; type === 0x8100 || type === 0x88a8; tags++) {
    if (tags === MAX_VLANS) throw new Ignored("TOO_MANY_HEADERS");
    need(cursor, 4, "L2_TRUNCATED");
    // The outermost id; a priority tag (id 0) is no VLAN.
    fields.vlan_id ||= cursor.view.getUint16(cursor.at) & 0xfff;
    type = cursor.view.getUint16(cursor.at + 2);
    cursor.at += 4;
  }
  if (type === 0x0800) return 4;
  if (type === 0x86dd) return 6;
  throw new Ignored("NOT_IP");
}

function readVersion(cursor: Cursor): 4 | 6 {
  need(cursor, 1, "L3_TRUNCATED");
  const version = cursor.view.getUint8(0) >> 4;
  if (version !== 4 && version !== 6) throw new Ignored("NOT_IP");
  return version;
}

/** RFC 791. Leaves the cursor at the upper layer; returns whether this is a fragment other than the first. */
function readIpv4(cursor: Cursor, fields: Fields): boolean {
  const { view, at } = cursor;
  need(cursor, 20, "L3_TRUNCATED");
  const headerLength = (view.getUint8(at) & 15) * 4;
  const totalLength = view.getUint16(at + 2) || cursor.end - at;
  if (view.getUint8(at) >> 4 !== 4 || headerLength < 20 || totalLength < headerLength) throw new Ignored("BAD_HEADER");
  need(cursor, totalLength, "L3_TRUNCATED");
  fields.ip_version = 4;
  fields.protocol = view.getUint8(at + 9);
  fields.src_addr = ipv4Text(view, at + 12);
  fields.dst_addr = ipv4Text(view, at + 16);
  cursor.end = at + totalLength;
  cursor.at = at + headerLength;
  return (view.getUint16(at + 6) & 0x1fff) !== 0;
}

function ipv4Text(view: DataView, at: number): string {
  return [0, 1, 2, 3].map((index) => view.getUint8(at + index)).join(".");
}

/** RFC 8200, section 4. As {@link readIpv4}. */
function readIpv6(cursor: Cursor, fields: Fields): boolean {
  const { view, at } = cursor;
  need(cursor, 40, "L3_TRUNCATED");
  if (view.getUint8(at) >> 4 !== 6) throw new Ignored("BAD_HEADER");
  const bytes = new Uint8Array(view.buffer, view.byteOffset, view.byteLength);
  fields.ip_version = 6;
  fields.src_addr = formatAddress(bytes, at + 8);
  fields.dst_addr = formatAddress(bytes, at + 24);
  const payloadLength = view.getUint16(at + 4);
  if (payloadLength !== 0) {
    need(cursor, 40 + payloadLength, "L3_TRUNCATED");
    cursor.end = at + 40 + payloadLength;
  }
  cursor.at = at + 40;
  let next = view.getUint8(at + 6);
  for (let count = 0;; count++) {
    fields.protocol = next;
    if (![HOP_BY_HOP, ROUTING, FRAGMENT, AUTHENTICATION, DESTINATION_OPTIONS].includes(next)) return false;
    if (count === MAX_EXTENSIONS) throw new Ignored("TOO_MANY_HEADERS");
    need(cursor, 8, "L3_TRUNCATED");
    const type = next;
    next = view.getUint8(cursor.at);
    if (type === FRAGMENT && view.getUint16(cursor.at + 2) >> 3 !== 0) {
      fields.protocol = next;
      return true;
    }
    const length = extensionLength(type, view.getUint8(cursor.at + 1));
    need(cursor, length, "L3_TRUNCATED");
    cursor.at += length;
  }
}

function extensionLength(type: number, field: number): number {
  if (type === FRAGMENT) return 8;
  return type === AUTHENTICATION ? 8 + field * 4 : 8 + field * 8; // RFC 4302 counts words less two
}

function readUpper(cursor: Cursor, fields: Fields): void {
  const { view, at } = cursor;
  switch (fields.protocol) {
    case IpProtocol.TCP:
      return readTcp(cursor, fields);
    case IpProtocol.UDP:
    case IpProtocol.SCTP:
      need(cursor, fields.protocol === IpProtocol.UDP ? 8 : 12, "L4_TRUNCATED");
      fields.src_port = view.getUint16(at);
      fields.dst_port = view.getUint16(at + 2);
      return;
    case IpProtocol.ICMP:
    case IpProtocol.ICMPV6:
      need(cursor, 8, "L4_TRUNCATED");
      fields.icmp_type = view.getUint8(at);
      fields.icmp_code = view.getUint8(at + 1);
  }
}

/** RFC 9293, section 3.1. */
function readTcp(cursor: Cursor, fields: Fields): void {
  const { view, at } = cursor;
  need(cursor, 20, "L4_TRUNCATED");
  const headerLength = (view.getUint8(at + 12) >> 4) * 4;
  if (headerLength < 20) throw new Ignored("BAD_HEADER");
  need(cursor, headerLength, "L4_TRUNCATED");
  fields.src_port = view.getUint16(at);
  fields.dst_port = view.getUint16(at + 2);
  fields.tcp_seq = view.getUint32(at + 4);
  fields.tcp_flags = view.getUint16(at + 12) & 0x1ff;
  if (fields.tcp_flags & 0x10) fields.tcp_ack = view.getUint32(at + 8);
  const stamps = findTimestamps(view, at + 20, at + headerLength);
  if (stamps === undefined) return;
  fields.event_flags |= EventFlag.TCP_TIMESTAMP;
  fields.tcp_tsval = view.getUint32(stamps);
  fields.tcp_tsecr = view.getUint32(stamps + 4);
}

/** RFC 7323, section 3.2. Offset of TSval, or undefined. */
function findTimestamps(view: DataView, start: number, end: number): number | undefined {
  for (let at = start, count = 0; at + 2 <= end && count < MAX_OPTIONS; count++) {
    const kind = view.getUint8(at), length = view.getUint8(at + 1);
    if (kind === 0) return undefined;
    if (kind === 1) {
      at++;
      continue;
    }
    if (kind === 8) return length === 10 && at + 10 <= end ? at + 2 : undefined;
    if (length < 2) return undefined;
    at += length;
  }
  return undefined;
}
