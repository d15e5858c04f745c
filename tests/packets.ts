/**
 * Builds packets byte by byte, well-formed unless told otherwise: each layer takes its payload and fills in lengths, and
 * each length can be overridden by a wrong one. Checksums stay zero; nothing that is tested here looks at them.
 */
import { parseAddress } from "../src/identity/address.ts";

/** Layers are built from the inside out: `ethernet({}, ipv4({…}, udp({…})))`. */
export type Bytes = Uint8Array<ArrayBuffer>;

export const EtherType = { IPV4: 0x0800, ARP: 0x0806, IPV6: 0x86dd, VLAN: 0x8100, QINQ: 0x88a8 } as const;

/** MAC addresses used where none are given. */
export const MAC = { source: "02:00:00:00:00:01", destination: "02:00:00:00:00:02" } as const;

export function concat(...parts: readonly Uint8Array[]): Bytes {
  const out = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    out.set(part, at);
    at += part.length;
  }
  return out;
}

/** `length` bytes that are no header of anything. */
export function filler(length: number): Bytes {
  return new Uint8Array(length).fill(0xa5);
}

export function macBytes(text: string): Bytes {
  return Uint8Array.from(text.split(":"), (part) => parseInt(part, 16));
}

/** 16 bytes of an address, IPv4 mapped. @throws {SyntaxError} for anything else. */
export function addressBytes(text: string): Bytes {
  const out = new Uint8Array(16);
  if (!parseAddress(text, out)) throw new SyntaxError(`Cannot read ${JSON.stringify(text)} as an address`);
  return out;
}

export interface Vlan {
  readonly id: number;
  /** Default: 0x8100. */
  readonly type?: number;
  readonly priority?: number;
}

export interface EthernetFields {
  readonly source?: string;
  readonly destination?: string;
  readonly vlans?: readonly Vlan[];
  /** Default: from the version nibble of the payload. */
  readonly type?: number;
}

export function ethernet(fields: EthernetFields, payload: Uint8Array): Bytes {
  const type = fields.type ?? (payload[0] >> 4 === 6 ? EtherType.IPV6 : EtherType.IPV4);
  const vlans = fields.vlans ?? [];
  const types = [...vlans.map((vlan) => vlan.type ?? EtherType.VLAN), type];
  const tags = vlans.flatMap((vlan, index) => [...u16(vlan.id | (vlan.priority ?? 0) << 13), ...u16(types[index + 1])]);
  return concat(
    macBytes(fields.destination ?? MAC.destination),
    macBytes(fields.source ?? MAC.source),
    u16(types[0]),
    Uint8Array.from(tags),
    payload,
  );
}

export interface Ipv4Fields {
  readonly source?: string;
  readonly destination?: string;
  readonly protocol: number;
  readonly options?: Uint8Array;
  /** In units of 8 bytes. */
  readonly fragmentOffset?: number;
  readonly moreFragments?: boolean;
  /** Overrides of what is right. */
  readonly version?: number;
  readonly headerWords?: number;
  readonly totalLength?: number;
}

export function ipv4(fields: Ipv4Fields, payload: Uint8Array): Bytes {
  const options = fields.options ?? new Uint8Array();
  const header = new Uint8Array(20);
  const view = new DataView(header.buffer);
  header[0] = (fields.version ?? 4) << 4 | (fields.headerWords ?? 5 + options.length / 4);
  view.setUint16(2, fields.totalLength ?? 20 + options.length + payload.length);
  view.setUint16(6, (fields.moreFragments ? 0x2000 : 0) | (fields.fragmentOffset ?? 0));
  header[8] = 64;
  header[9] = fields.protocol;
  header.set(addressBytes(fields.source ?? "10.0.0.1").subarray(12), 12);
  header.set(addressBytes(fields.destination ?? "10.0.0.2").subarray(12), 16);
  return concat(header, options, payload);
}

export interface Ipv6Fields {
  readonly source?: string;
  readonly destination?: string;
  readonly nextHeader: number;
  /** Overrides of what is right. */
  readonly version?: number;
  readonly payloadLength?: number;
}

export function ipv6(fields: Ipv6Fields, payload: Uint8Array): Bytes {
  const header = new Uint8Array(40);
  const view = new DataView(header.buffer);
  header[0] = (fields.version ?? 6) << 4;
  view.setUint16(4, fields.payloadLength ?? payload.length);
  header[6] = fields.nextHeader;
  header[7] = 64;
  header.set(addressBytes(fields.source ?? "fd00::1"), 8);
  header.set(addressBytes(fields.destination ?? "fd00::2"), 24);
  return concat(header, payload);
}

/** Hop-by-hop, routing or destination options: `8 × (1 + units)` bytes. */
export function extension(nextHeader: number, payload: Uint8Array, units = 0): Bytes {
  return concat(Uint8Array.of(nextHeader, units), filler(6 + 8 * units), payload);
}

/** Authentication header (RFC 4302): `4 × (2 + words)` bytes. */
export function authentication(nextHeader: number, payload: Uint8Array, words = 4): Bytes {
  return concat(Uint8Array.of(nextHeader, words), filler(6 + 4 * words), payload);
}

/** IPv6 fragment header; the offset is in units of 8 bytes. */
export function fragment(nextHeader: number, offset: number, more: boolean, payload: Uint8Array): Bytes {
  return concat(Uint8Array.of(nextHeader, 0), u16(offset << 3 | (more ? 1 : 0)), filler(4), payload);
}

export interface TcpFields {
  readonly sourcePort?: number;
  readonly destinationPort?: number;
  /** `TcpFlag` bits, NS among them. */
  readonly flags?: number;
  readonly seq?: number;
  readonly ack?: number;
  readonly options?: Uint8Array;
  /** Override of the header's length in words. */
  readonly headerWords?: number;
}

export function tcp(fields: TcpFields, payload: Uint8Array = new Uint8Array()): Bytes {
  const options = fields.options ?? new Uint8Array();
  const header = new Uint8Array(20);
  const view = new DataView(header.buffer);
  const flags = fields.flags ?? 0;
  view.setUint16(0, fields.sourcePort ?? 40000);
  view.setUint16(2, fields.destinationPort ?? 80);
  view.setUint32(4, fields.seq ?? 0);
  view.setUint32(8, fields.ack ?? 0);
  header[12] = (fields.headerWords ?? 5 + options.length / 4) << 4 | flags >> 8;
  header[13] = flags & 0xff;
  return concat(header, options, payload);
}

/** The TCP timestamp option without padding (RFC 7323). */
export function timestampOption(value: number, echo: number): Bytes {
  return concat(Uint8Array.of(8, 10), u32(value), u32(echo));
}

export interface Ports {
  readonly sourcePort?: number;
  readonly destinationPort?: number;
}

export function udp(fields: Ports, payload: Uint8Array = new Uint8Array()): Bytes {
  return concat(
    u16(fields.sourcePort ?? 40000),
    u16(fields.destinationPort ?? 53),
    u16(8 + payload.length),
    u16(0),
    payload,
  );
}

/** The SCTP common header and whatever chunks are given. */
export function sctp(fields: Ports, chunks: Uint8Array = new Uint8Array()): Bytes {
  return concat(u16(fields.sourcePort ?? 40000), u16(fields.destinationPort ?? 3868), u32(1), u32(0), chunks);
}

export interface IcmpFields {
  readonly type: number;
  readonly code?: number;
  readonly id?: number;
  readonly sequence?: number;
}

/** ICMP or ICMPv6: the header of eight bytes, and a payload. */
export function icmp(fields: IcmpFields, payload: Uint8Array = new Uint8Array()): Bytes {
  return concat(
    Uint8Array.of(fields.type, fields.code ?? 0, 0, 0),
    u16(fields.id ?? 0),
    u16(fields.sequence ?? 0),
    payload,
  );
}

function u16(value: number): Bytes {
  return Uint8Array.of(value >> 8 & 0xff, value & 0xff);
}

function u32(value: number): Bytes {
  return concat(u16(value >>> 16), u16(value & 0xffff));
}
