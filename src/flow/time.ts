import { EVENT, SLOT } from "./record.ts";

/**
 * Wall-clock time of a slot in integer arithmetic that stays exact for every u64: `ts_ns` passes 2^53 after 104 days
 * of uptime, where a double would begin to lose nanoseconds.
 */

export const BILLION = 1_000_000_000;
// 2^32 ns and 2^48 ns as whole seconds and the rest.
const SECONDS_32 = 4, NANOS_32 = 294_967_296;
const SECONDS_48 = 281_474, NANOS_48 = 976_710_656;

/**
 * Nanoseconds since {@link wholeSeconds} of the record at byte `at` of the slots: an integer below 2^47. Its quotient
 * and remainder by {@link BILLION} complete the time.
 */
export function restNanos(u32: Uint32Array, at: number): number {
  const word = at >>> 2, high = u32[word + EVENT.ts_ns / 4 + 1];
  return u32[word + EVENT.ts_ns / 4] + (high & 0xffff) * NANOS_32 + (high >>> 16) * NANOS_48 +
    u32[word + SLOT.wall_offset_nanos / 4];
}

/** Seconds since 1970 that the high words of the record's time give; see {@link restNanos}. */
export function wholeSeconds(u32: Uint32Array, at: number): number {
  const word = at >>> 2, high = u32[word + EVENT.ts_ns / 4 + 1];
  return u32[word + SLOT.wall_offset_seconds / 4] + (high & 0xffff) * SECONDS_32 + (high >>> 16) * SECONDS_48;
}

/** Seconds since 1970 of the record at byte `at`. */
export function wallSeconds(u32: Uint32Array, at: number): number {
  return wholeSeconds(u32, at) + Math.floor(restNanos(u32, at) / BILLION);
}

/** Nanoseconds within {@link wallSeconds}, 0..999,999,999. */
export function wallNanos(u32: Uint32Array, at: number): number {
  const rest = restNanos(u32, at);
  // `%` on doubles is a library call and ten times slower.
  return rest - Math.floor(rest / BILLION) * BILLION;
}
