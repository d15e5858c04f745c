/**
 * Reader of a BPF ring buffer (kernel `Documentation/bpf/ringbuf.rst`) as a pure class over memory.
 *
 * The kernel maps the data twice in a row, so a record that runs over the end is still contiguous. Each record has a header of
 * eight bytes, whose first 32-bit word is the length and two bits:
 *
 * | bit | meaning |
 * |---|---|
 * | 31 | busy: reserved by a producer that has not finished; nothing behind it can be read yet |
 * | 30 | discard: the producer gave the record up; skip it |
 * | 29..0 | length in bytes, without header and padding |
 */
import type { RecordHandler, RecordRing } from "./record_ring.ts";

const DISCARD = 1 << 30;
const LENGTH = DISCARD - 1;
const HEADER_SIZE = 8;
const WORD = 2 ** 32;

/** The three regions of a mapped ring buffer. */
export interface RingBufferMemory {
  /** Page with the consumer's position, writable. */
  readonly consumer: ArrayBuffer;
  /** Page with the producer's position. */
  readonly producer: ArrayBuffer;
  /** The data, mapped twice: 2 × size bytes. */
  readonly data: ArrayBuffer;
}

/** Consumer side of a BPF ring buffer. Knows nothing of maps and file descriptors: see `mapped_ring.ts`. */
export class RingBuffer implements RecordRing {
  /** Size of the ring in bytes, a power of two. */
  readonly size: number;
  corruptions = 0;
  readonly #u32: Uint32Array;
  readonly #words: Int32Array;
  readonly #producer: Int32Array;
  readonly #consumer: BigInt64Array;
  /** Bytes consumed since the ring was made. A double is exact for 2^53 bytes, some months at 1 GB/s. */
  #position: number;

  /** @throws {RangeError} when the data is not twice a power of two. */
  constructor(memory: RingBufferMemory) {
    this.size = memory.data.byteLength / 2;
    if (this.size < HEADER_SIZE || !Number.isInteger(Math.log2(this.size))) {
      throw new RangeError(`Cannot use ${memory.data.byteLength} bytes as ring data: expected twice a power of two`);
    }
    this.#u32 = new Uint32Array(memory.data);
    this.#words = new Int32Array(memory.data);
    this.#producer = new Int32Array(memory.producer);
    this.#consumer = new BigInt64Array(memory.consumer);
    this.#position = Number(Atomics.load(this.#consumer, 0));
  }

  get pendingBytes(): number {
    // The ring is smaller than 2^32 bytes, so the low words of the positions tell their distance without a BigInt.
    return (Atomics.load(this.#producer, 0) - (this.#position % WORD | 0)) >>> 0;
  }

  drain(handler: RecordHandler, limit: number): number {
    const start = this.#position;
    const available = this.pendingBytes;
    const mask = this.size - 1;
    const base = start % this.size;
    let consumed = 0;
    let records = 0;
    try {
      while (consumed < available && records < limit) {
        const at = (base + consumed) & mask;
        // An atomic load: the kernel clears the busy bit with an exchange after it wrote the record, and the record may be read only after that.
        const header = Atomics.load(this.#words, at >>> 2);
        if (header < 0) break;
        const length = header & LENGTH;
        const step = (length + HEADER_SIZE + 7) & ~7;
        if (step > available - consumed || step > this.size) {
          this.corruptions++;
          consumed = available;
          break;
        }
        consumed += step;
        if ((header & DISCARD) !== 0) continue;
        records++;
        handler(this.#u32, at + HEADER_SIZE, length);
      }
    } finally {
      if (consumed > 0) {
        this.#position = start + consumed;
        Atomics.store(this.#consumer, 0, BigInt(this.#position));
      }
    }
    return records;
  }
}
