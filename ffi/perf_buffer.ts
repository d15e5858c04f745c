/**
 * Reader of one CPU's perf ring (`perf_event_open(2)`) as a pure class over memory.
 *
 * The control page holds `data_head` at byte 1024, written by the kernel, and `data_tail` at byte 1032, written here. The data is mapped
 * once: a record can run over the end. Records start at multiples of eight with a header {type: u32, misc: u16, size: u16}:
 *
 * | type | content after the header |
 * |---|---|
 * | PERF_RECORD_LOST (2) | id: u64, lost: u64 |
 * | PERF_RECORD_SAMPLE (9) with PERF_SAMPLE_RAW | size: u32, bytes; size + 4 is a multiple of eight |
 */
import type { RecordHandler, RecordRing } from "./record_ring.ts";

const DATA_HEAD = 1024;
const DATA_TAIL = 1032;
const RECORD_LOST = 2;
const RECORD_SAMPLE = 9;
const HEADER_SIZE = 8;
const WORD = 2 ** 32;
/** A record's size is a u16. */
const MAX_RECORD = 65536;

/** The two regions of a mapped perf ring. */
export interface PerfBufferMemory {
  /** First page, `struct perf_event_mmap_page`, writable. */
  readonly control: ArrayBuffer;
  /** The pages after it, a power of two of them. */
  readonly data: ArrayBuffer;
}

/** Consumer side of one perf ring. Knows nothing of file descriptors: see `mapped_perf.ts`. */
export class PerfBuffer implements RecordRing {
  /** Samples that the kernel dropped for lack of room, as it reported them. The report comes with the next sample that fits. */
  lost = 0;
  corruptions = 0;
  readonly #u8: Uint8Array;
  readonly #u32: Uint32Array;
  readonly #head: Int32Array;
  readonly #tail: BigInt64Array;
  readonly #wrapped = new Uint8Array(MAX_RECORD);
  readonly #wrappedWords = new Uint32Array(this.#wrapped.buffer);
  #position: number;

  /** @throws {RangeError} when the data is not a power of two. */
  constructor(memory: PerfBufferMemory) {
    const size = memory.data.byteLength;
    if (size < HEADER_SIZE || !Number.isInteger(Math.log2(size))) {
      throw new RangeError(`Cannot use ${size} bytes as ring data: expected a power of two`);
    }
    this.#u8 = new Uint8Array(memory.data);
    this.#u32 = new Uint32Array(memory.data);
    this.#head = new Int32Array(memory.control, DATA_HEAD, 2);
    this.#tail = new BigInt64Array(memory.control, DATA_TAIL, 1);
    this.#position = Number(Atomics.load(this.#tail, 0));
  }

  get pendingBytes(): number {
    // An atomic load is the barrier that perf_event_open(2) asks for between reading data_head and reading the data.
    return (Atomics.load(this.#head, 0) - (this.#position % WORD | 0)) >>> 0;
  }

  drain(handler: RecordHandler, limit: number): number {
    const start = this.#position;
    const available = this.pendingBytes;
    const mask = this.#u8.length - 1;
    const base = start % this.#u8.length;
    let consumed = 0;
    let records = 0;
    try {
      while (consumed < available && records < limit) {
        const at = (base + consumed) & mask;
        const type = this.#u32[at >>> 2];
        const size = this.#u32[(at >>> 2) + 1] >>> 16;
        if (size < HEADER_SIZE || (size & 7) !== 0 || size > available - consumed || available > mask + 1) {
          this.corruptions++;
          consumed = available;
          break;
        }
        consumed += size;
        if (type === RECORD_SAMPLE && size >= 16) {
          records++;
          this.#sample(handler, at, size);
        } else if (type === RECORD_LOST && size >= 24) {
          this.lost += this.#word(at + 16) + this.#word(at + 20) * WORD;
        }
      }
    } finally {
      if (consumed > 0) {
        this.#position = start + consumed;
        Atomics.store(this.#tail, 0, BigInt(this.#position));
      }
    }
    return records;
  }

  #word(at: number): number {
    return this.#u32[(at & (this.#u8.length - 1)) >>> 2];
  }

  #sample(handler: RecordHandler, record: number, size: number): void {
    const length = Math.min(this.#word(record + 8), size - 12);
    const at = (record + 12) & (this.#u8.length - 1);
    const contiguous = this.#u8.length - at;
    if (length <= contiguous) {
      handler(this.#u32, at, length);
      return;
    }
    this.#wrapped.set(this.#u8.subarray(at), 0);
    this.#wrapped.set(this.#u8.subarray(0, length - contiguous), contiguous);
    handler(this.#wrappedWords, 0, length);
  }
}
