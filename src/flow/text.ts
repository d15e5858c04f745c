/**
 * Addresses as text, written as ASCII bytes: no string is made for a flow. Each writer returns the position behind
 * what it wrote; the caller has made sure that {@link MAX_ADDRESS_TEXT} bytes fit.
 */

/** Longest address text: `xxxx:xxxx:xxxx:xxxx:xxxx:xxxx:xxxx:xxxx` and what a writer may touch behind it. */
export const MAX_ADDRESS_TEXT = 48;

const COLON = 58;
/** Two hexadecimal digits for each byte. */
const HEX = new Uint8Array(512);
/** One to three decimal digits for each byte and a dot, in four places; then how many digits. */
const DECIMAL = new Uint8Array(1024);
const DIGITS = new Uint8Array(256);
for (let byte = 0; byte < 256; byte++) {
  const hex = byte.toString(16).padStart(2, "0");
  HEX[2 * byte] = hex.charCodeAt(0);
  HEX[2 * byte + 1] = hex.charCodeAt(1);
  const decimal = `${byte}.`;
  for (let i = 0; i < decimal.length; i++) DECIMAL[4 * byte + i] = decimal.charCodeAt(i);
  DIGITS[byte] = decimal.length - 1;
}

/** Writes a byte as two hexadecimal digits. */
export function writeHexByte(out: Uint8Array, at: number, byte: number): number {
  out[at] = HEX[2 * byte];
  out[at + 1] = HEX[2 * byte + 1];
  return at + 2;
}

/** Writes a byte in decimal with a dot, four places whatever its length: the next writer overwrites the surplus. */
function writeOctet(out: Uint8Array, at: number, byte: number): number {
  const from = 4 * byte;
  out[at] = DECIMAL[from];
  out[at + 1] = DECIMAL[from + 1];
  out[at + 2] = DECIMAL[from + 2];
  out[at + 3] = DECIMAL[from + 3];
  return at + DIGITS[byte];
}

/** Writes the four bytes at `src[from]` as a dotted quad. */
export function writeIPv4(out: Uint8Array, at: number, src: Uint8Array, from: number): number {
  at = writeOctet(out, at, src[from]) + 1;
  at = writeOctet(out, at, src[from + 1]) + 1;
  at = writeOctet(out, at, src[from + 2]) + 1;
  return writeOctet(out, at, src[from + 3]);
}

/** Writes 16 bits in hexadecimal without leading zeros. */
function writeGroup(out: Uint8Array, at: number, high: number, low: number): number {
  if (high !== 0) {
    if (high > 15) out[at++] = HEX[2 * high];
    out[at++] = HEX[2 * high + 1];
    out[at++] = HEX[2 * low];
  } else if (low > 15) out[at++] = HEX[2 * low];
  out[at] = HEX[2 * low + 1];
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
export function writeIPv6(out: Uint8Array, at: number, src: Uint8Array, from: number): number {
  const gap = longestGap(src, from);
  const gapStart = gap >> 4, gapEnd = gap & 15;
  const mapped = gap === 5 && src[from + 10] === 255 && src[from + 11] === 255;
  const groups = mapped ? 6 : 8;
  for (let group = 0; group < groups;) {
    if (gap !== 0 && group === gapStart) {
      out[at++] = COLON;
      if (gapEnd === 8) out[at++] = COLON;
      group = gapEnd;
      continue;
    }
    if (group !== 0) out[at++] = COLON;
    at = writeGroup(out, at, src[from + 2 * group], src[from + 2 * group + 1]);
    group++;
  }
  if (!mapped) return at;
  out[at++] = COLON;
  return writeIPv4(out, at, src, from + 12);
}

/** Writes the 16-byte address at `src[from]`: a dotted quad in an IPv4 packet, where it is IPv4-mapped, else IPv6. */
export function writeAddress(out: Uint8Array, at: number, src: Uint8Array, from: number, ipVersion: number): number {
  return ipVersion === 4 ? writeIPv4(out, at, src, from + 12) : writeIPv6(out, at, src, from);
}

/** Writes the six bytes at `src[from]` as `aa:bb:cc:dd:ee:ff`. */
export function writeMac(out: Uint8Array, at: number, src: Uint8Array, from: number): number {
  for (let i = 0; i < 6; i++) {
    if (i !== 0) out[at++] = COLON;
    at = writeHexByte(out, at, src[from + i]);
  }
  return at;
}

const scratch = new Uint8Array(MAX_ADDRESS_TEXT);

function ascii(end: number): string {
  return String.fromCharCode(...scratch.subarray(0, end));
}

/** Text of the 16-byte address at `src[from]`, as {@link writeAddress} writes it; for places that need a string. */
export function addressText(src: Uint8Array, from: number, ipVersion: number): string {
  return ascii(writeAddress(scratch, 0, src, from, ipVersion));
}

/** Text of the Ethernet address at `src[from]`. */
export function macText(src: Uint8Array, from: number): string {
  return ascii(writeMac(scratch, 0, src, from));
}
