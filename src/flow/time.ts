import { EVENT, SLOT } from "./record.ts";

/**
 * Wall-clock time of a slot in integer arithmetic that stays exact for every u64: `ts_ns` passes 2^53 after 104 days
 * of uptime, where a double would begin to lose nanoseconds.
 */

const BILLION = 1_000_000_000;
// 2^32 ns and 2^48 ns as whole seconds and the rest.
const SECONDS_32 = 4, NANOS_32 = 294_967_296;
const SECONDS_48 = 281_474, NANOS_48 = 976_710_656;

/** Nanoseconds of `ts_ns` that the whole seconds of {@link wallSeconds} leave, plus the offset's; below 2^47. */
function rest(u32: Uint32Array, at: number): number {
  const word = at >>> 2, high = u32[word + 1];
  return u32[word] + (high & 0xffff) * NANOS_32 + (high >>> 16) * NANOS_48 + u32[(at + SLOT.wall_offset_nanos) >>> 2];
}

/** Seconds since 1970 of the record at byte `at` of the slots. */
export function wallSeconds(u32: Uint32Array, at: number): number {
  const high = u32[(at + EVENT.ts_ns + 4) >>> 2];
  return u32[(at + SLOT.wall_offset_seconds) >>> 2] + (high & 0xffff) * SECONDS_32 + (high >>> 16) * SECONDS_48 +
    Math.floor(rest(u32, at) / BILLION);
}

/** Nanoseconds within {@link wallSeconds}, 0..999,999,999. */
export function wallNanos(u32: Uint32Array, at: number): number {
  return rest(u32, at) % BILLION;
}
