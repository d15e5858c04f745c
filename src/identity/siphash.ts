/**
 * SipHash-1-3 with key zero (J.-P. Aumasson, D. J. Bernstein, "SipHash: a fast short-input PRF", 2012; one compression
 * round and three at the end), over pairs of 32-bit words because JavaScript's BigInt is a hundred times slower.
 */

/** Words of v0..v3: low, high, low, high, … */
const state = new Int32Array(8);

function add(a: number, b: number): void {
  const low = (state[a] >>> 0) + (state[b] >>> 0);
  state[a] = low | 0;
  state[a + 1] = state[a + 1] + state[b + 1] + (low > 0xffffffff ? 1 : 0) | 0;
}

/** Rotates `a` left by 0 < bits < 32 and XORs `b` into it. */
function rotateXor(a: number, bits: number, b: number): void {
  const low = state[a], high = state[a + 1];
  state[a] = (low << bits | high >>> 32 - bits) ^ state[b];
  state[a + 1] = (high << bits | low >>> 32 - bits) ^ state[b + 1];
}

function swap(a: number): void {
  const low = state[a];
  state[a] = state[a + 1];
  state[a + 1] = low;
}

function round(): void {
  add(0, 2);
  rotateXor(2, 13, 0);
  swap(0);
  add(4, 6);
  rotateXor(6, 16, 4);
  add(0, 6);
  rotateXor(6, 21, 0);
  add(4, 2);
  rotateXor(2, 17, 4);
  swap(4);
}

function compress(low: number, high: number): void {
  state[6] ^= low;
  state[7] ^= high;
  round();
  state[0] ^= low;
  state[1] ^= high;
}

/** The 64-bit hash as two unsigned words. */
export function sipHash13(bytes: Uint8Array): { readonly high: number; readonly low: number } {
  state.set([0x70736575, 0x736f6d65, 0x6e646f6d, 0x646f7261, 0x6e657261, 0x6c796765, 0x79746573, 0x74656462]);
  const word = (at: number) => bytes[at] | bytes[at + 1] << 8 | bytes[at + 2] << 16 | bytes[at + 3] << 24;
  const whole = bytes.length & ~7;
  for (let at = 0; at < whole; at += 8) compress(word(at), word(at + 4));
  const tail = new Int32Array(2);
  for (let at = whole; at < bytes.length; at++) tail[at >> 2 & 1] |= bytes[at] << 8 * (at & 3);
  compress(tail[0], tail[1] | bytes.length << 24);
  state[4] ^= 0xff;
  round();
  round();
  round();
  return {
    high: (state[1] ^ state[3] ^ state[5] ^ state[7]) >>> 0,
    low: (state[0] ^ state[2] ^ state[4] ^ state[6]) >>> 0,
  };
}
