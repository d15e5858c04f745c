/**
 * Addresses as text, written as ASCII bytes: no string is made for a flow. Writers take a DataView because it stores
 * several characters at once at any offset. Each returns the position behind what it wrote; the caller has made sure
 * that {@link MAX_ADDRESS_TEXT} bytes fit.
 */

/** Longest address text: `xxxx:xxxx:xxxx:xxxx:xxxx:xxxx:xxxx:xxxx` and what a writer may touch behind it. */
export const MAX_ADDRESS_TEXT = 48;

const COLON = 58;
/** Each byte as characters that are stored with one little-endian number: two hexadecimal digits, */
const HEX = new Uint16Array(256);
/** the same and a colon, */
const HEX_COLON = new Uint32Array(256);
/** one to three decimal digits and a dot. */
const DECIMAL_DOT = new Uint32Array(256);
/** How many digits that are. */
const DIGITS = new Uint8Array(256);

function characters(text: string): number {
  return [...text].reduceRight((value, character) => value * 256 + character.charCodeAt(0), 0);
}

for (let byte = 0; byte < 256; byte++) {
  const hex = byte.toString(16).padStart(2, "0");
  HEX[byte] = characters(hex);
  HEX_COLON[byte] = characters(`${hex}:`);
  DECIMAL_DOT[byte] = characters(`${byte}.`);
  DIGITS[byte] = `${byte}`.length;
}

/** Writes a byte as two hexadecimal digits. */
export function writeHexByte(out: DataView, at: number, byte: number): number {
  out.setUint16(at, HEX[byte], true);
  return at + 2;
}

/** Writes a byte in decimal, four places whatever its length: the next writer overwrites the surplus. */
function writeOctet(out: DataView, at: number, byte: number): number {
  out.setUint32(at, DECIMAL_DOT[byte], true);
  return at + DIGITS[byte];
}

/** Writes the four bytes at `src[from]` as a dotted quad. */
export function writeIPv4(out: DataView, at: number, src: Uint8Array, from: number): number {
  at = writeOctet(out, at, src[from]) + 1;
  at = writeOctet(out, at, src[from + 1]) + 1;
  at = writeOctet(out, at, src[from + 2]) + 1;
  return writeOctet(out, at, src[from + 3]);
}

/** Writes 16 bits in hexadecimal without leading zeros. */
function writeGroup(out: DataView, at: number, high: number, low: number): number {
  if (high !== 0) {
    if (high > 15) at = writeHexByte(out, at, high);
    else out.setUint8(at++, HEX[high] >>> 8);
    return writeHexByte(out, at, low);
  }
  if (low > 15) return writeHexByte(out, at, low);
  out.setUint8(at, HEX[low] >>> 8);
  return at + 1;
}

/** Where the longest run of at least two zero groups starts (the first of equals), times 16, plus where it ends; 0 for none. */
function longestGap(src: Uint8Array, from: number): number {
  let best = 0, bestLength = 1, start = 0;
  for (let group = 0; group <= 8; group++) {
    if (group < 8 && (src[from + 2 * group] | src[from + 2 * group + 1]) === 0) continue;
    if (group - start > bestLength) {
      bestLength = group - start;
      best = start * 16 + group;
    }
    start = group + 1;
  }
  return best;
}

/** Writes the 16 bytes at `src[from]` as RFC 5952 says; an IPv4-mapped address in its mixed form, `::ffff:192.0.2.1`. */
export function writeIPv6(out: DataView, at: number, src: Uint8Array, from: number): number {
  const gap = longestGap(src, from);
  const gapStart = gap >> 4, gapEnd = gap & 15;
  const mapped = gap === 5 && src[from + 10] === 255 && src[from + 11] === 255;
  const groups = mapped ? 6 : 8;
  for (let group = 0; group < groups;) {
    if (gap !== 0 && group === gapStart) {
      out.setUint8(at++, COLON);
      if (gapEnd === 8) out.setUint8(at++, COLON);
      group = gapEnd;
      continue;
    }
    if (group !== 0) out.setUint8(at++, COLON);
    at = writeGroup(out, at, src[from + 2 * group], src[from + 2 * group + 1]);
    group++;
  }
  if (!mapped) return at;
  out.setUint8(at++, COLON);
  return writeIPv4(out, at, src, from + 12);
}

/** Writes the 16-byte address at `src[from]`: a dotted quad in an IPv4 packet, where it is IPv4-mapped, else IPv6. */
export function writeAddress(out: DataView, at: number, src: Uint8Array, from: number, ipVersion: number): number {
  return ipVersion === 4 ? writeIPv4(out, at, src, from + 12) : writeIPv6(out, at, src, from);
}

/** Writes the six bytes at `src[from]` as `aa:bb:cc:dd:ee:ff`. */
export function writeMac(out: DataView, at: number, src: Uint8Array, from: number): number {
  for (let i = 0; i < 5; i++) out.setUint32(at + 3 * i, HEX_COLON[src[from + i]], true);
  return writeHexByte(out, at + 15, src[from + 5]);
}

const scratch = new DataView(new ArrayBuffer(MAX_ADDRESS_TEXT));

function ascii(end: number): string {
  return String.fromCharCode(...new Uint8Array(scratch.buffer, 0, end));
}

/** Text of the 16-byte address at `src[from]`, as {@link writeAddress} writes it; for places that need a string. */
export function addressText(src: Uint8Array, from: number, ipVersion: number): string {
  return ascii(writeAddress(scratch, 0, src, from, ipVersion));
}

/** Text of the Ethernet address at `src[from]`. */
export function macText(src: Uint8Array, from: number): string {
  return ascii(writeMac(scratch, 0, src, from));
}
