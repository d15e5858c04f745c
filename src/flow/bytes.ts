/**
 * Writers of protobuf's wire format. Each writes at `at` and returns the position behind what it wrote; the caller has
 * made sure that it fits. (https://protobuf.dev/programming-guides/encoding/)
 */

/** Writes an unsigned integer below 2^53 as a varint. Without a loop: this is called a dozen times a flow. */
export function writeVarint(out: Uint8Array, at: number, value: number): number {
  if (value > 0xffffffff) return writeLongVarint(out, at, value);
  if (value < 0x80) {
    out[at] = value;
    return at + 1;
  }
  out[at] = (value & 127) | 128;
  if (value < 0x4000) {
    out[at + 1] = value >>> 7;
    return at + 2;
  }
  out[at + 1] = ((value >>> 7) & 127) | 128;
  if (value < 0x200000) {
    out[at + 2] = value >>> 14;
    return at + 3;
  }
  out[at + 2] = ((value >>> 14) & 127) | 128;
  if (value < 0x10000000) {
    out[at + 3] = value >>> 21;
    return at + 4;
  }
  out[at + 3] = ((value >>> 21) & 127) | 128;
  out[at + 4] = value >>> 28;
  return at + 5;
}

function writeLongVarint(out: Uint8Array, at: number, value: number): number {
  for (; value > 127; value = Math.floor(value / 128)) out[at++] = (value % 128) | 128;
  out[at] = value;
  return at + 1;
}

/** Bytes that {@link writeVarint} needs for a value below 2^32. */
export function varintSize(value: number): number {
  return value < 0x80 ? 1 : value < 0x4000 ? 2 : value < 0x200000 ? 3 : value < 0x10000000 ? 4 : 5;
}

/** Copies bytes. A copy costs the same up to some hundred bytes, and as much as a loop over 16. */
export function writeBytes(out: Uint8Array, at: number, bytes: Uint8Array): number {
  const length = bytes.length;
  if (length > 16) out.set(bytes, at);
  else for (let i = 0; i < length; i++) out[at + i] = bytes[i];
  return at + length;
}

/** A length-delimited field with its tag and length, to be made once and copied often; empty when `content` is. */
export function lengthDelimited(field: number, content: Uint8Array): Uint8Array {
  if (content.length === 0) return content;
  const out = new Uint8Array(10 + content.length);
  const end = writeVarint(out, writeVarint(out, 0, field * 8 + 2), content.length);
  out.set(content, end);
  return out.subarray(0, end + content.length).slice();
}

/** A string field, as {@link lengthDelimited}. */
export function stringField(field: number, text: string): Uint8Array {
  return lengthDelimited(field, new TextEncoder().encode(text));
}

/** Joins byte arrays. */
export function concat(...parts: readonly Uint8Array[]): Uint8Array {
  const out = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) at = writeBytes(out, at, part);
  return out;
}
