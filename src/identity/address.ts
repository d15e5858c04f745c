/**
 * IP addresses as the 16 bytes that a flow record holds: IPv6, or IPv4 mapped into `::ffff:0:0/96` (RFC 4291 section
 * 2.5.5.2). Parsing is strict: no octal, no shortened IPv4, no zone.
 */

/** An address or CIDR in binary form. IPv4-mapped prefixes are IPv4, so that every address has one spelling. */
export interface Prefix {
  readonly family: 4 | 6;
  /** Significant bits: 0..32 for IPv4, 0..128 for IPv6. */
  readonly length: number;
  /** The 16 bytes, bits after the prefix cleared. */
  readonly bytes: Uint8Array;
}

const DOT = 46;
const COLON = 58;

/** Writes IPv4 text as four bytes. Returns false, and leaves `out` undefined, when it is no dotted quad. */
function parseIPv4(text: string, from: number, out: Uint8Array, at: number): boolean {
  let octet = 0, digits = 0, count = 0;
  for (let i = from; i <= text.length; i++) {
    const code = i < text.length ? text.charCodeAt(i) : DOT;
    if (code === DOT) {
      if (digits === 0 || octet > 255 || count === 4) return false;
      out[at + count++] = octet;
      octet = digits = 0;
    } else {
      // A leading zero reads as octal in some tools and as decimal in others: neither here.
      if (code < 48 || code > 57 || digits === 3 || (digits > 0 && octet === 0)) return false;
      octet = octet * 10 + code - 48;
      digits++;
    }
  }
  return count === 4;
}

function hexDigit(code: number): number {
  if (code >= 48 && code <= 57) return code - 48;
  const lower = code | 32;
  return lower >= 97 && lower <= 102 ? lower - 87 : -1;
}

function parseIPv6(text: string, out: Uint8Array): boolean {
  out.fill(0, 0, 16);
  let at = 0, gap = -1, i = 0;
  if (text.startsWith("::")) {
    gap = 0;
    i = 2;
  }
  while (i < text.length) {
    let group = 0;
    const start = i;
    for (; i < text.length && text.charCodeAt(i) !== COLON; i++) {
      if (text.charCodeAt(i) === DOT) {
        if (at > 12 || !parseIPv4(text, start, out, at)) return false;
        return closeGap(out, at + 4, gap);
      }
      const digit = hexDigit(text.charCodeAt(i));
      if (digit < 0 || i - start === 4) return false;
      group = group * 16 + digit;
    }
    if (i === start || at === 16) return false;
    out[at++] = group >> 8;
    out[at++] = group & 255;
    if (i === text.length) break;
    i++;
    if (text.charCodeAt(i) === COLON) {
      if (gap >= 0) return false;
      gap = at;
      i++;
    } else if (i === text.length) {
      return false;
    }
  }
  return closeGap(out, at, gap);
}

/** Moves what stands after `::` to the end. */
function closeGap(out: Uint8Array, end: number, gap: number): boolean {
  if (gap < 0) return end === 16;
  if (end > 14) return false;
  out.copyWithin(16 - (end - gap), gap, end);
  out.fill(0, gap, 16 - (end - gap));
  return true;
}

/** Whether 16 bytes are an IPv4-mapped address. */
export function isMapped(bytes: Uint8Array): boolean {
  for (let i = 0; i < 10; i++) if (bytes[i] !== 0) return false;
  return bytes[10] === 255 && bytes[11] === 255;
}

/** Writes an address as 16 bytes into `out`. Returns false, and leaves `out` undefined, when the text is no address. */
export function parseAddress(text: string, out: Uint8Array): boolean {
  if (text.indexOf(":") >= 0) return parseIPv6(text, out);
  out.fill(0, 0, 10);
  out[10] = out[11] = 255;
  return parseIPv4(text, 0, out, 12);
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
  const groups: number[] = [];
  for (let i = 0; i < 16; i += 2) groups.push(part[i] << 8 | part[i + 1]);
  let best = -1, bestLength = 1;
  for (let i = 0; i < 8;) {
    let end = i;
    while (end < 8 && groups[end] === 0) end++;
    if (end - i > bestLength) {
      best = i;
      bestLength = end - i;
    }
    i = end + 1;
  }
  const hex = (from: number, to: number) => groups.slice(from, to).map((g) => g.toString(16)).join(":");
  return best < 0 ? hex(0, 8) : `${hex(0, best)}::${hex(best + bestLength, 8)}`;
}

/** Canonical text of a prefix: no suffix for single addresses. */
export function formatPrefix(prefix: Prefix): string {
  const single = prefix.length === (prefix.family === 4 ? 32 : 128);
  return single ? formatAddress(prefix.bytes) : `${formatAddress(prefix.bytes)}/${prefix.length}`;
}
