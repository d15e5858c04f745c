/** What is counted of every flow record as it is read. The agent gives an implementation; flow/ knows no metrics. */
export interface FlowCounters {
  /** Counts the record at byte offset `at` of the store's arrays. Called for each event: integers, no allocation. */
  record(u8: Uint8Array, u16: Uint16Array, u32: Uint32Array, at: number): void;
}

/** Counts nothing. */
export const noCounters: FlowCounters = { record() {} };
