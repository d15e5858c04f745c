import { parseAddress as readAddress } from "../../identity/address.ts";
import { addressComplaint } from "./address_syntax.ts";
import { quote } from "./error.ts";

/** An address, or all addresses with the same first `bits` bits. */
export interface AddressRange {
  readonly family: 4 | 6;
  /** 0..32 or 0..128. */
  readonly bits: number;
  /**
   * The address as four words, as a little-endian machine reads the 16 bytes of a flow record; IPv4 is mapped into
   * `::ffff:0:0/96` there.
   */
  readonly words: Uint32Array;
  /** Ones where an address must equal `words`; for IPv4 in the last word only, the others are the same for all. */
  readonly mask: Uint32Array;
}

/** Ones from the first bit of an address on, in a record's 16 bytes. */
function makeMask(family: 4 | 6, bits: number): Uint32Array {
  const mask = new Uint8Array(16);
  const first = family === 4 ? 12 : 0;
  for (let i = first; i < 16; i++) mask[i] = 0xff00 >> Math.min(8, Math.max(0, bits - 8 * (i - first)));
  return new Uint32Array(mask.buffer);
}

const WHOLE = { 4: makeMask(4, 32), 6: makeMask(6, 128) } as const;

/** The range of `bits` bits around an address that {@link addressComplaint} has nothing to say about. */
function makeRange(address: string, family: 4 | 6, bits: number): AddressRange {
  const bytes = new Uint8Array(16);
  readAddress(address, bytes);
  const mask = bits === (family === 4 ? 32 : 128) ? WHOLE[family] : makeMask(family, bits);
  return { family, bits, words: new Uint32Array(bytes.buffer), mask };
}

/** Reads an address; the zone of an IPv6 address does not count. Returns Go's complaint when it is none. */
export function parseAddress(text: string): AddressRange | string {
  const complaint = addressComplaint(text);
  if (complaint !== undefined) return complaint;
  return text.includes(":") ? makeRange(text.split("%")[0], 6, 128) : makeRange(text, 4, 32);
}

/**
 * Reads `address/bits`; bits after the prefix do not count. An IPv4-mapped IPv6 prefix stays IPv6, and so has no IPv4
 * address in it. Returns Go's complaint when it is no prefix.
 */
export function parseRange(text: string): AddressRange | string {
  const because = (message: string) => `netip.ParsePrefix(${quote(text)}): ${message}`;
  const slash = text.lastIndexOf("/");
  if (slash < 0) return because("no '/'");
  const address = text.slice(0, slash), bits = text.slice(slash + 1);
  const complaint = addressComplaint(address);
  if (complaint !== undefined) return because(complaint);
  if (address.includes("%")) return because("IPv6 zones cannot be present in a prefix");
  if (!/^(?:\d|[1-9]\d*)$/.test(bits) || BigInt(bits.slice(0, 20)) > 2n ** 63n - 1n) {
    return because(`bad bits after slash: ${quote(bits)}`);
  }
  const family = address.includes(":") ? 6 : 4;
  if (Number(bits) > (family === 4 ? 32 : 128)) return because("prefix length out of range");
  return makeRange(address, family, Number(bits));
}

/**
 * Whether the address in the words `u32[at..at+3]` of a record is in a range of its own family; the caller compares the
 * families.
 */
export function rangeHasWords(range: AddressRange, u32: Uint32Array, at: number): boolean {
  const { words, mask } = range;
  return ((u32[at + 3] ^ words[3]) & mask[3]) === 0 && ((u32[at] ^ words[0]) & mask[0]) === 0 &&
    ((u32[at + 1] ^ words[1]) & mask[1]) === 0 && ((u32[at + 2] ^ words[2]) & mask[2]) === 0;
}

/** Whether a range has the other's address in it and is no narrower. */
export function rangeCovers(range: AddressRange, other: AddressRange): boolean {
  if (range.family !== other.family || range.bits > other.bits) return false;
  for (let i = 0; i < 4; i++) if (((range.words[i] ^ other.words[i]) & range.mask[i]) !== 0) return false;
  return true;
}
