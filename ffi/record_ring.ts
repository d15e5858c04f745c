/**
 * Receives one record of a ring, as a place in memory that the kernel writes: valid only during the call, and read-only.
 *
 * @param u32 the memory that holds the record, as 32-bit words
 * @param at offset of the record in bytes, a multiple of four
 * @param length length in bytes; perf rings round it up, so there may be up to seven bytes of padding at the end
 */
export type RecordHandler = (u32: Uint32Array, at: number, length: number) => void;

/** A ring that the kernel writes and this process reads. */
export interface RecordRing {
  /**
   * Hands over up to `limit` finished records, in order, and gives their room back to the kernel once at the end.
   *
   * A record whose handler throws counts as read. Returns the number of records.
   */
  drain(handler: RecordHandler, limit: number): number;
  /** Bytes that the kernel has written and `drain` has not yet taken, record headers included. */
  readonly pendingBytes: number;
  /** Times that the ring's own headers made no sense and its content was given up. Never seen but in tests. */
  readonly corruptions: number;
}
