/**
 * Framing of netlink messages (RFC 3549, kernel `include/uapi/linux/netlink.h`) as pure functions over bytes.
 *
 * A message is a header of 16 bytes {length: u32, type: u16, flags: u16, sequence: u32, port: u32} and a body; a body ends in attributes
 * {length: u16, type: u16, payload}. Everything is aligned to four bytes. What does not fit into its surroundings is left out: a decoder
 * here never reads outside of the bytes that it was given.
 */

/** Message types of NETLINK_ROUTE in use. */
export const MessageType = {
  ERROR: 2,
  DONE: 3,
  NEWLINK: 16,
  DELLINK: 17,
  GETLINK: 18,
  NEWADDR: 20,
  GETADDR: 22,
  NEWROUTE: 24,
  GETROUTE: 26,
  NEWTFILTER: 44,
  GETTFILTER: 46,
} as const;

/** Message flags in use. */
export const MessageFlag = { REQUEST: 0x1, DUMP: 0x300, DUMP_INTERRUPTED: 0x10 } as const;

const HEADER_SIZE = 16;
const ATTRIBUTE_HEADER_SIZE = 4;
/** The two high bits of an attribute's type say "nested" and "network byte order". */
const ATTRIBUTE_TYPE = 0x3fff;

/** One message; the body is a view into the bytes that were decoded. */
export interface NetlinkMessage {
  readonly type: number;
  readonly flags: number;
  readonly sequence: number;
  readonly body: DataView;
}

/** Splits what one `recv` gave into messages. Stops at the first one that is cut short. */
export function decodeMessages(bytes: Uint8Array): NetlinkMessage[] {
  const messages: NetlinkMessage[] = [];
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  for (let at = 0; at + HEADER_SIZE <= bytes.length;) {
    const length = view.getUint32(at, true);
    if (length < HEADER_SIZE || length > bytes.length - at) break;
    messages.push({
      type: view.getUint16(at + 4, true),
      flags: view.getUint16(at + 6, true),
      sequence: view.getUint32(at + 8, true),
      body: new DataView(bytes.buffer, bytes.byteOffset + at + HEADER_SIZE, length - HEADER_SIZE),
    });
    at += (length + 3) & ~3;
  }
  return messages;
}

/** Attributes of a body from an offset on, by type; of one type the last stands. Stops at the first one that is cut short. */
export function decodeAttributes(body: DataView, offset: number): Map<number, DataView> {
  const attributes = new Map<number, DataView>();
  for (let at = offset; at + ATTRIBUTE_HEADER_SIZE <= body.byteLength;) {
    const length = body.getUint16(at, true);
    if (length < ATTRIBUTE_HEADER_SIZE || length > body.byteLength - at) break;
    attributes.set(
      body.getUint16(at + 2, true) & ATTRIBUTE_TYPE,
      new DataView(body.buffer, body.byteOffset + at + ATTRIBUTE_HEADER_SIZE, length - ATTRIBUTE_HEADER_SIZE),
    );
    at += (length + 3) & ~3;
  }
  return attributes;
}

/** A 32-bit attribute, or undefined when it is missing or too short. */
export function u32Attribute(attribute: DataView | undefined): number | undefined {
  return attribute !== undefined && attribute.byteLength >= 4 ? attribute.getUint32(0, true) : undefined;
}

/** The bytes of an attribute, copied; empty when it is missing. */
export function bytesAttribute(attribute: DataView | undefined): Uint8Array {
  if (attribute === undefined) return new Uint8Array(0);
  return new Uint8Array(attribute.buffer, attribute.byteOffset, attribute.byteLength).slice();
}

/** The error number of an ERROR or DONE message: 0 for success. */
export function errorOf(message: NetlinkMessage): number {
  return message.body.byteLength >= 4 ? -message.body.getInt32(0, true) : 0;
}

/** A request for all objects of a kind. The body is the fixed struct of the request and its attributes. */
export function encodeDumpRequest(type: number, sequence: number, body: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(HEADER_SIZE + body.length);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, bytes.length, true);
  view.setUint16(4, type, true);
  view.setUint16(6, MessageFlag.REQUEST | MessageFlag.DUMP, true);
  view.setUint32(8, sequence, true);
  bytes.set(body, HEADER_SIZE);
  return bytes;
}
