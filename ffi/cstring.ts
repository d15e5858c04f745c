const encoder = new TextEncoder();
const decoder = new TextDecoder();

/**
 * The bytes of a string with the terminating zero that C expects.
 *
 * The bytes stand in a buffer of their own, never in a pool: callers put the buffer's address into structs.
 *
 * @throws {TypeError} when the string itself holds a zero, which C would take for its end.
 */
export function toCString(text: string): Uint8Array<ArrayBuffer> {
  if (text.includes("\0")) {
    throw new TypeError(`Cannot pass ${JSON.stringify(text)} to C: it contains a NUL byte`);
  }
  const bytes = encoder.encode(text);
  const out = new Uint8Array(new ArrayBuffer(bytes.length + 1));
  out.set(bytes);
  return out;
}

/** Text up to the first zero, or to the end of the bytes when there is none. Invalid UTF-8 becomes U+FFFD. */
export function fromCString(bytes: Uint8Array): string {
  const end = bytes.indexOf(0);
  return decoder.decode(end < 0 ? bytes : bytes.subarray(0, end));
}
