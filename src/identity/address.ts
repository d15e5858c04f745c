/**
 * IP addresses as the 16 bytes that a flow record holds: IPv6, or IPv4 mapped into `::ffff:0:0/96` (RFC 4291 section
 * 2.5.5.2). Parsing is strict: no octal, no shortened IPv4, no zone.
 */

import ipaddr from "ipaddr.js";

const { IPv4, IPv6 } = ipaddr;

/** An address or CIDR in binary form. IPv4-mapped prefixes are IPv4, so that every address has one spelling. */
export interface Prefix {
  readonly family: 4 | 6;
  /** Significant bits: 0..32 for IPv4, 0..128 for IPv6. */
  readonly length: number;
  /** The 16 bytes, bits after the prefix cleared. */
  readonly bytes: Uint8Array;
}

/** Four decimal numbers from 0 to 255 without leading zeros. */
const DOTTED_QUAD = /^(?:(?:25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)(?:\.(?!$)|$)){4}$/;

/** A dotted quad at the end of an IPv6 address (RFC 4291 section 2.2, third form). */
const EMBEDDED_QUAD = /^(.*:)([\d.]+)$/;

/**
 * IPv6 text whose embedded dotted quad, if any, is written as two groups; undefined when the quad is none. ipaddr.js reads
 * `::1.2.3.4` as `::ffff:1.2.3.4`, which is another address.
 */
function withoutQuad(text: string): string | undefined {
  const match = text.includes(".") ? EMBEDDED_QUAD.exec(text) : null;
  if (match === null) return text;
  if (!IPv4.isValidFourPartDecimal(match[2])) return undefined;
  const [a, b, c, d] = IPv4.parse(match[2]).octets;
  return `${match[1]}${(a << 8 | b).toString(16)}:${(c << 8 | d).toString(16)}`;
}

/** Whether 16 bytes are an IPv4-mapped address. */
export function isMapped(bytes: Uint8Array): boolean {
  for (let i = 0; i < 10; i++) if (bytes[i] !== 0) return false;
  return bytes[10] === 255 && bytes[11] === 255;
}

/** Writes an address as 16 bytes into `out`. Returns false, and leaves `out` undefined, when the text is no address. */
export function parseAddress(text: string, out: Uint8Array): boolean {
  if (!text.includes(":")) {
    // Nearly every address of a cluster comes by here, 100,000 in a snapshot: ipaddr.js takes ten times as long.
    if (!DOTTED_QUAD.test(text)) return false;
    out.fill(0, 0, 10);
    out[10] = out[11] = 255;
    const octets = text.split(".");
    for (let i = 0; i < 4; i++) out[12 + i] = Number(octets[i]);
    return true;
  }
  const plain = text.includes("%") ? undefined : withoutQuad(text);
  if (plain === undefined || !IPv6.isValid(plain)) return false;
  out.set(IPv6.parse(plain).toByteArray());
  return true;
}

/** Clears the bits of 16 bytes after the first `bits`. */
export function maskBytes(bytes: Uint8Array, bits: number): void {
  const whole = bits >> 3;
  if (whole < 16) {
    bytes[whole] &= 0xff00 >> (bits & 7);
    bytes.fill(0, whole + 1, 16);
  }
}

/** Reads an address or a CIDR; undefined when the text is neither. Host bits of a CIDR are cleared. */
export function parsePrefix(text: string): Prefix | undefined {
  const slash = text.indexOf("/");
  const bytes = new Uint8Array(16);
  if (!parseAddress(slash < 0 ? text : text.slice(0, slash), bytes)) return undefined;
  const mapped = isMapped(bytes);
  const dotted = text.indexOf(":") < 0;
  let length = mapped ? 32 : 128;
  if (slash >= 0) {
    const suffix = text.slice(slash + 1);
    if (!/^(0|[1-9]\d{0,2})$/.test(suffix)) return undefined;
    length = Number(suffix);
    if (length > (dotted ? 32 : 128)) return undefined;
    // A mapped prefix shorter than /96 covers more than IPv4: it stays IPv6.
    if (mapped && !dotted) {
      if (length < 96) {
        maskBytes(bytes, length);
        return { family: 6, length, bytes };
      }
      length -= 96;
    }
    maskBytes(bytes, mapped ? length + 96 : length);
  }
  return { family: mapped ? 4 : 6, length, bytes };
}

/** Text of a 16-byte address: dotted for IPv4-mapped ones, RFC 5952 otherwise. */
export function formatAddress(bytes: Uint8Array, at = 0): string {
  const part = at === 0 && bytes.length === 16 ? bytes : bytes.subarray(at, at + 16);
  if (isMapped(part)) return `${part[12]}.${part[13]}.${part[14]}.${part[15]}`;
  return new IPv6([...part]).toRFC5952String();
}

/** Canonical text of a prefix: no suffix for single addresses. */
export function formatPrefix(prefix: Prefix): string {
  const single = prefix.length === (prefix.family === 4 ? 32 : 128);
  return single ? formatAddress(prefix.bytes) : `${formatAddress(prefix.bytes)}/${prefix.length}`;
}
