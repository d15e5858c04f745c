/**
 * Reader of a BPF ring buffer (kernel `Documentation/bpf/ringbuf.rst`) as a pure class over memory.
 *
 * Each record has a header of eight bytes, whose first 32-bit word is the length and two bits:
 *
 * | bit | meaning |
 * |---|---|
 * | 31 | busy: reserved by a producer that has not finished; nothing behind it can be read yet |
 * | 30 | discard: the producer gave the record up; skip it |
 * | 29..0 | length in bytes, without header and padding |
 *
 * The kernel offers the data twice in a row, so that a record over the end is contiguous. Here it is mapped once: the pages of a second
 * mapping would count as resident memory again, 8 MiB by default, and copying one record in each turn of the ring costs nothing.
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
  /** The data, a power of two of bytes. */
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
  /** A record that runs over the end, put together. */
  #wrapped = new Uint32Array(0);
  /** Bytes consumed since the ring was made. A double is exact for 2^53 bytes, some months at 1 GB/s. */
  #position: number;

  /** @throws {RangeError} when the data is not a power of two. */
  constructor(memory: RingBufferMemory) {
    this.size = memory.data.byteLength;
    if (this.size < HEADER_SIZE || !Number.isInteger(Math.log2(this.size))) {
      throw new RangeError(`Cannot use ${memory.data.byteLength} bytes as ring data: expected a power of two`);
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
        if (at + step <= this.size) handler(this.#u32, at + HEADER_SIZE, length);
        else handler(this.#join((at + HEADER_SIZE) & mask, length), 0, length);
      }
    } finally {
      if (consumed > 0) {
        this.#position = start + consumed;
        Atomics.store(this.#consumer, 0, BigInt(this.#position));
      }
    }
    return records;
  }

  #join(at: number, length: number): Uint32Array {
    const words = (length + 3) >>> 2;
    if (this.#wrapped.length < words) this.#wrapped = new Uint32Array(words);
    const first = Math.min(words, (this.size - at) >>> 2);
    this.#wrapped.set(this.#u32.subarray(at >>> 2, (at >>> 2) + first));
    this.#wrapped.set(this.#u32.subarray(0, words - first), first);
    return this.#wrapped;
  }
}
