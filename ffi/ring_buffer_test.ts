import assert from "node:assert/strict";
import fc from "fast-check";
import { RingBuffer } from "./ring_buffer.ts";

const BUSY = 0x8000_0000;
const DISCARD = 0x4000_0000;

/** Plays the kernel: writes records into the ring, over its end if need be. */
class Producer {
  readonly data: ArrayBuffer;
  readonly consumer = new ArrayBuffer(8);
  readonly producer = new ArrayBuffer(8);
  readonly #size: number;
  #position: bigint;

  constructor(size: number, start = 0n) {
    this.#size = size;
    this.#position = start;
    this.data = new ArrayBuffer(size);
    new BigInt64Array(this.consumer)[0] = start;
    new BigInt64Array(this.producer)[0] = start;
  }

  ring(): RingBuffer {
    return new RingBuffer({ consumer: this.consumer, producer: this.producer, data: this.data });
  }

  consumed(): bigint {
    return new BigInt64Array(this.consumer)[0];
  }

  /** Reserves and fills a record. False when there is no room. Returns where its header is. */
  write(bytes: Uint8Array, bits = 0): number | false {
    const step = (bytes.length + 8 + 7) & ~7;
    if (Number(this.#position - this.consumed()) + step > this.#size) return false;
    const at = Number(this.#position % BigInt(this.#size));
    this.header(at, (bytes.length | bits) >>> 0);
    bytes.forEach((byte, index) => this.#byte(at + 8 + index, byte));
    this.#position += BigInt(step);
    new BigInt64Array(this.producer)[0] = this.#position;
    return at;
  }

  header(at: number, word: number): void {
    for (let index = 0; index < 4; index++) this.#byte(at + index, (word >>> (8 * index)) & 0xff);
  }

  #byte(at: number, value: number): void {
    new Uint8Array(this.data)[at % this.#size] = value;
  }
}

function drainAll(ring: RingBuffer, limit = Infinity): Uint8Array[] {
  const records: Uint8Array[] = [];
  ring.drain((u32, at, length) => {
    assert.equal(at % 4, 0);
    records.push(new Uint8Array(u32.buffer).slice(at, at + length));
  }, limit);
  return records;
}

Deno.test("RingBuffer drains records in order and gives their room back", () => {
  const kernel = new Producer(64);
  const ring = kernel.ring();
  kernel.write(Uint8Array.of(1, 2, 3));
  kernel.write(Uint8Array.of(4));
  assert.equal(ring.pendingBytes, 32);
  assert.deepEqual(drainAll(ring), [Uint8Array.of(1, 2, 3), Uint8Array.of(4)]);
  assert.equal(kernel.consumed(), 32n);
  assert.equal(ring.pendingBytes, 0);
  assert.deepEqual(drainAll(ring), []);
});

Deno.test("RingBuffer stops at a busy record until it is finished", () => {
  const kernel = new Producer(128);
  const ring = kernel.ring();
  kernel.write(Uint8Array.of(1));
  const busy = kernel.write(Uint8Array.of(2), BUSY);
  kernel.write(Uint8Array.of(3));
  assert.deepEqual(drainAll(ring), [Uint8Array.of(1)]);
  assert.equal(ring.pendingBytes, 32);
  kernel.header(Number(busy), 1);
  assert.deepEqual(drainAll(ring), [Uint8Array.of(2), Uint8Array.of(3)]);
});

Deno.test("RingBuffer skips discarded records", () => {
  const kernel = new Producer(128);
  const ring = kernel.ring();
  kernel.write(Uint8Array.of(1), DISCARD);
  kernel.write(Uint8Array.of(2));
  kernel.write(Uint8Array.of(3, 3, 3, 3, 3, 3, 3, 3, 3), DISCARD);
  assert.deepEqual(drainAll(ring), [Uint8Array.of(2)]);
  assert.equal(ring.pendingBytes, 0);
});

Deno.test("RingBuffer hands a record over the end of the ring over in one piece", () => {
  const kernel = new Producer(64);
  const ring = kernel.ring();
  kernel.write(new Uint8Array(40));
  drainAll(ring);
  const long = Uint8Array.from({ length: 33 }, (_, index) => index + 1);
  kernel.write(long);
  assert.deepEqual(drainAll(ring), [long]);
});

Deno.test("RingBuffer reads no more than it is asked to", () => {
  const kernel = new Producer(256);
  const ring = kernel.ring();
  for (let index = 0; index < 10; index++) kernel.write(Uint8Array.of(index));
  assert.equal(drainAll(ring, 4).length, 4);
  assert.equal(kernel.consumed(), 64n);
  assert.deepEqual(drainAll(ring).map((record) => record[0]), [4, 5, 6, 7, 8, 9]);
});

Deno.test("RingBuffer goes on behind a record whose handler threw", () => {
  const kernel = new Producer(256);
  const ring = kernel.ring();
  kernel.write(Uint8Array.of(1));
  kernel.write(Uint8Array.of(2));
  assert.throws(() =>
    ring.drain(() => {
      throw new Error("no");
    }, 10), /^Error: no$/);
  assert.deepEqual(drainAll(ring), [Uint8Array.of(2)]);
});

Deno.test("RingBuffer follows positions over 32 bits", () => {
  const kernel = new Producer(64, 2n ** 32n - 16n);
  const ring = kernel.ring();
  for (let index = 0; index < 6; index++) {
    kernel.write(Uint8Array.of(index));
    assert.deepEqual(drainAll(ring), [Uint8Array.of(index)]);
  }
  assert.equal(kernel.consumed(), 2n ** 32n + 80n);
});

Deno.test("RingBuffer refuses data of an impossible size", () => {
  for (const size of [0, 4, 48, 96]) {
    assert.throws(
      () => new RingBuffer({ consumer: new ArrayBuffer(8), producer: new ArrayBuffer(8), data: new ArrayBuffer(size) }),
      /expected a power of two/,
    );
  }
});

Deno.test("RingBuffer loses and invents nothing, whatever is written", () => {
  const operation = fc.record({
    bytes: fc.uint8Array({ maxLength: 40 }),
    discard: fc.boolean(),
    limit: fc.integer({ min: 0, max: 5 }),
  });
  fc.assert(fc.property(fc.array(operation, { maxLength: 60 }), (operations) => {
    const kernel = new Producer(128);
    const ring = kernel.ring();
    const expected: Uint8Array[] = [];
    const seen: Uint8Array[] = [];
    for (const { bytes, discard, limit } of operations) {
      if (kernel.write(bytes, discard ? DISCARD : 0) !== false && !discard) expected.push(bytes);
      seen.push(...drainAll(ring, limit));
    }
    seen.push(...drainAll(ring));
    assert.deepEqual(seen, expected);
    assert.equal(ring.corruptions, 0);
  }));
});

Deno.test("RingBuffer stays inside of the ring for random content", () => {
  fc.assert(fc.property(fc.uint8Array({ minLength: 64, maxLength: 64 }), fc.bigInt(0n, 2n ** 40n), (bytes, written) => {
    const data = new ArrayBuffer(64);
    new Uint8Array(data).set(bytes);
    const producer = new BigInt64Array([written]).buffer;
    const ring = new RingBuffer({ consumer: new ArrayBuffer(8), producer, data });
    ring.drain((u32, at, length) => assert.ok(at >= 0 && at + length <= u32.byteLength, `${at} + ${length}`), 1000);
  }));
});
