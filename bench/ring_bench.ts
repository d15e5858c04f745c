/** What it costs to take an event out of a ring, without a kernel: `deno bench bench/ring_bench.ts`. One iteration is 1,024 events. */
import type { RecordRing } from "../ffi/record_ring.ts";
import { PerfBuffer } from "../ffi/perf_buffer.ts";
import { RingBuffer } from "../ffi/ring_buffer.ts";
import { ETHERNET_SIZE, EVENT, EVENT_SIZE } from "../src/flow/record.ts";

const EVENTS = 1024;
const LENGTH = EVENT_SIZE + ETHERNET_SIZE;
const SIZE = 1 << 20;

/** A BPF ring that is full of events again before each drain: only the producer's position moves. */
function bpfRing(): { ring: RecordRing; refill: () => void } {
  const step = (LENGTH + 8 + 7) & ~7;
  const data = new ArrayBuffer(SIZE);
  const producer = new BigInt64Array(1);
  const ring = new RingBuffer({ consumer: new ArrayBuffer(8), producer: producer.buffer, data });
  const words = new Uint32Array(data);
  let position = 0;
  const refill = () => {
    for (let index = 0; index < EVENTS; index++, position += step) words[(position & (SIZE - 1)) >>> 2] = LENGTH;
    producer[0] = BigInt(position);
  };
  return { ring, refill };
}

/** The same for one CPU's perf ring; some of its events run over the end. */
function perfRing(): { ring: RecordRing; refill: () => void } {
  const raw = ((LENGTH + 4 + 7) & ~7) - 4;
  const size = 12 + raw;
  const data = new ArrayBuffer(SIZE);
  const control = new ArrayBuffer(4096);
  const ring = new PerfBuffer({ control, data });
  const words = new Uint32Array(data);
  const head = new BigInt64Array(control, 1024, 1);
  let position = 0;
  const put = (offset: number, value: number) => words[((position + offset) & (SIZE - 1)) >>> 2] = value;
  const refill = () => {
    for (let index = 0; index < EVENTS; index++, position += size) {
      put(0, 9);
      put(4, size << 16);
      put(8, raw);
    }
    head[0] = BigInt(position);
  };
  return { ring, refill };
}

const sum = new Float64Array(1);
/** Reads what the store's walk reads: ten words of each event. */
const read = (u32: Uint32Array, at: number) => {
  const word = at >>> 2;
  let total = u32[(at + EVENT.bytes) >>> 2] + u32[(at + EVENT.ifindex) >>> 2];
  for (let index = 2; index < 10; index++) total += u32[word + index];
  sum[0] += total;
};

for (const [name, make] of [["BPF ring", bpfRing], ["perf ring", perfRing]] as const) {
  const { ring, refill } = make();
  Deno.bench(`${name}: 1,024 events, ten words of each read`, (bench) => {
    refill();
    bench.start();
    ring.drain(read, EVENTS);
    bench.end();
  });
}
