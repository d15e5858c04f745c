import assert from "node:assert/strict";
import fc from "fast-check";
import { PerfBuffer } from "./perf_buffer.ts";

/** Plays the kernel: writes perf records, and counts samples that do not fit like `rb->lost`. */
class Producer {
  readonly control = new ArrayBuffer(4096);
  readonly data: ArrayBuffer;
  unreported = 0;
  #position: bigint;

  constructor(size: number, start = 0n) {
    this.data = new ArrayBuffer(size);
    this.#position = start;
    this.#head[0] = start;
    new BigInt64Array(this.control, 1032, 1)[0] = start;
  }

  get #head(): BigInt64Array {
    return new BigInt64Array(this.control, 1024, 1);
  }

  tail(): bigint {
    return new BigInt64Array(this.control, 1032, 1)[0];
  }

  ring(): PerfBuffer {
    return new PerfBuffer({ control: this.control, data: this.data });
  }

  /** PERF_RECORD_SAMPLE with PERF_SAMPLE_RAW; before it a PERF_RECORD_LOST if samples did not fit meanwhile. */
  sample(bytes: Uint8Array): boolean {
    const raw = ((bytes.length + 4 + 7) & ~7) - 4;
    const size = 8 + 4 + raw;
    const lost = this.unreported > 0 ? 24 : 0;
    if (Number(this.#position - this.tail()) + size + lost > this.data.byteLength) {
      this.unreported++;
      return false;
    }
    if (lost > 0) {
      const record = new DataView(new ArrayBuffer(24));
      record.setUint32(0, 2, true);
      record.setUint16(6, 24, true);
      record.setBigUint64(8, 77n, true);
      record.setBigUint64(16, BigInt(this.unreported), true);
      this.raw(new Uint8Array(record.buffer));
      this.unreported = 0;
    }
    const record = new DataView(new ArrayBuffer(size));
    record.setUint32(0, 9, true);
    record.setUint16(6, size, true);
    record.setUint32(8, raw, true);
    new Uint8Array(record.buffer, 12).set(bytes);
    this.raw(new Uint8Array(record.buffer));
    return true;
  }

  raw(bytes: Uint8Array): void {
    const data = new Uint8Array(this.data);
    bytes.forEach((byte, index) => data[Number((this.#position + BigInt(index)) % BigInt(data.length))] = byte);
    this.#position += BigInt(bytes.length);
    this.#head[0] = this.#position;
  }
}

function drainAll(ring: PerfBuffer, limit = Infinity): Uint8Array[] {
  const records: Uint8Array[] = [];
  ring.drain((u32, at, length) => {
    assert.equal(at % 4, 0);
    records.push(new Uint8Array(u32.buffer).slice(at, at + length));
  }, limit);
  return records;
}

const twelve = Uint8Array.from({ length: 12 }, (_, index) => index + 1);

Deno.test("PerfBuffer drains samples in order and gives their room back", () => {
  const kernel = new Producer(128);
  const ring = kernel.ring();
  kernel.sample(twelve);
  kernel.sample(Uint8Array.of(9));
  assert.equal(ring.pendingBytes, 40);
  // One byte is padded to four by the kernel.
  assert.deepEqual(drainAll(ring), [twelve, Uint8Array.of(9, 0, 0, 0)]);
  assert.equal(kernel.tail(), 40n);
  assert.equal(ring.pendingBytes, 0);
});

Deno.test("PerfBuffer puts a sample that runs over the end together", () => {
  const kernel = new Producer(64);
  const ring = kernel.ring();
  const seen: Uint8Array[] = [];
  for (let turn = 0; turn < 20; turn++) {
    kernel.sample(twelve);
    seen.push(...drainAll(ring));
  }
  assert.deepEqual(seen, Array.from({ length: 20 }, () => twelve));
});

Deno.test("PerfBuffer counts lost samples exactly, also when the report runs over the end", () => {
  for (let shift = 0; shift < 8; shift++) {
    const kernel = new Producer(64);
    const ring = kernel.ring();
    kernel.raw(filler(8 * shift));
    drainAll(ring);
    let read = 0;
    let written = 0;
    for (let turn = 0; turn < 50; turn++) {
      if (turn % 9 === 0) read += drainAll(ring).length;
      if (kernel.sample(twelve)) written++;
    }
    read += drainAll(ring).length;
    assert.equal(read, written);
    assert.equal(read + ring.lost + kernel.unreported, 50);
    assert.ok(ring.lost > 0);
  }
});

Deno.test("PerfBuffer skips records of other types", () => {
  const kernel = new Producer(128);
  const ring = kernel.ring();
  kernel.raw(filler(16));
  kernel.sample(twelve);
  assert.deepEqual(drainAll(ring), [twelve]);
});

Deno.test("PerfBuffer reads no more than it is asked to", () => {
  const kernel = new Producer(256);
  const ring = kernel.ring();
  for (let index = 0; index < 5; index++) kernel.sample(Uint8Array.of(index, 0, 0, 0));
  assert.deepEqual(drainAll(ring, 2).map((record) => record[0]), [0, 1]);
  assert.deepEqual(drainAll(ring, 9).map((record) => record[0]), [2, 3, 4]);
});

Deno.test("PerfBuffer follows positions over 32 bits", () => {
  const kernel = new Producer(64, 2n ** 32n - 24n);
  const ring = kernel.ring();
  for (let turn = 0; turn < 4; turn++) {
    kernel.sample(twelve);
    assert.deepEqual(drainAll(ring), [twelve]);
  }
});

Deno.test("PerfBuffer gives up content that makes no sense, and goes on", () => {
  const kernel = new Producer(128);
  const ring = kernel.ring();
  kernel.raw(new Uint8Array(16)); // a record of size zero would never end
  assert.deepEqual(drainAll(ring), []);
  assert.equal(ring.corruptions, 1);
  kernel.sample(twelve);
  assert.deepEqual(drainAll(ring), [twelve]);
});

Deno.test("PerfBuffer refuses data of an impossible size", () => {
  for (const size of [0, 4, 96]) {
    assert.throws(
      () => new PerfBuffer({ control: new ArrayBuffer(4096), data: new ArrayBuffer(size) }),
      /expected a power of two/,
    );
  }
});

Deno.test("PerfBuffer stays inside of the ring for random content", () => {
  fc.assert(fc.property(fc.uint8Array({ minLength: 64, maxLength: 64 }), fc.bigInt(0n, 2n ** 40n), (bytes, written) => {
    const kernel = new Producer(64);
    new Uint8Array(kernel.data).set(bytes);
    new BigInt64Array(kernel.control, 1024, 1)[0] = written;
    kernel.ring().drain((u32, at, length) => assert.ok(at + length <= u32.byteLength, `${at} + ${length}`), 1000);
  }));
});

/** A record of a type that nobody reads. */
function filler(size: number): Uint8Array {
  const record = new Uint8Array(size);
  if (size > 0) new DataView(record.buffer).setUint32(0, 3, true);
  if (size > 0) new DataView(record.buffer).setUint16(6, size, true);
  return record;
}
