import { writeHexByte } from "./text.ts";

/**
 * The uuid of a flow follows from its position and a salt that is random for each run, so that it costs no storage and
 * every reader sees the same one. It has the form of version 4 (RFC 9562 section 5.4).
 *
 * Words 0 and 3 hold a permutation of the position's 64 bits, untouched by the version and variant bits: no two
 * positions of one run share a uuid.
 */

/** A permutation of 32 bits in which each input bit changes about half of the output (MurmurHash3's finalizer). */
function mix(word: number): number {
  word ^= word >>> 16;
  word = Math.imul(word, 0x85ebca6b);
  word ^= word >>> 13;
  word = Math.imul(word, 0xc2b2ae35);
  return word ^ (word >>> 16);
}

/** The 16 salt bytes as the words that {@link writeUuid} takes. */
export function saltWords(salt: Uint8Array): Uint32Array {
  if (salt.length !== 16) throw new RangeError(`Cannot use a salt of ${salt.length} bytes: expected 16`);
  return new Uint32Array(salt.slice().buffer);
}

const DASH = 45;
/** Length of a uuid's text. */
export const UUID_TEXT = 36;

function writeWord(out: DataView, at: number, word: number): void {
  at = writeHexByte(out, at, word >>> 24);
  at = writeHexByte(out, at, (word >>> 16) & 255);
  at = writeHexByte(out, at, (word >>> 8) & 255);
  writeHexByte(out, at, word & 255);
}

function writeHalves(out: DataView, at: number, word: number): void {
  out.setUint8(at, DASH);
  at = writeHexByte(out, at + 1, word >>> 24);
  at = writeHexByte(out, at, (word >>> 16) & 255);
  out.setUint8(at, DASH);
  at = writeHexByte(out, at + 1, (word >>> 8) & 255);
  writeHexByte(out, at, word & 255);
}

/** Writes the uuid of the flow at `position` as 36 characters. */
export function writeUuid(out: DataView, at: number, salt: Uint32Array, position: number): number {
  const first = mix(position ^ salt[0]);
  const last = mix(Math.floor(position / 0x100000000) ^ salt[3] ^ first);
  // `| 0`: a sum beyond 32 bits would be boxed on its way into mix().
  const version = (mix((first + salt[1]) | 0) & 0xffff0fff) | 0x4000;
  const variant = (mix((last + salt[2]) | 0) & 0x3fffffff) | 0x80000000;
  writeWord(out, at, first);
  // Groups two and three, then four and the start of five.
  writeHalves(out, at + 8, version);
  writeHalves(out, at + 18, variant);
  writeWord(out, at + 28, last);
  return at + UUID_TEXT;
}

const scratch = new DataView(new ArrayBuffer(UUID_TEXT));

/** The uuid of the flow at `position`, for places that need a string. */
export function uuidText(salt: Uint32Array, position: number): string {
  writeUuid(scratch, 0, salt, position);
  return String.fromCharCode(...new Uint8Array(scratch.buffer));
}
