import assert from "node:assert/strict";
import type { RecordHandler, RecordRing } from "../../../ffi/record_ring.ts";
import { RingReader } from "./reader.ts";

/** A ring of empty records, and a sink that remembers what it was told and takes a microsecond for each. */
function setUp(waiting: number, wallOffset = () => 0n, alongside = () => false) {
  const words = new Uint32Array(4);
  const state = { waiting, stuck: false, now: 0, pushed: 0, flushed: 0, offsets: [] as [number, number][] };
  const ring: RecordRing = {
    corruptions: 0,
    get pendingBytes() {
      return state.waiting * 16;
    },
    drain(handler: RecordHandler, limit: number) {
      const count = state.stuck ? 0 : Math.min(limit, state.waiting);
      for (let index = 0; index < count; index++) handler(words, 0, 16);
      state.waiting -= count;
      return count;
    },
  };
  const sink = {
    push() {
      state.pushed++;
      state.now += 0.001;
    },
    setWallOffset: (seconds: number, nanos: number) => void state.offsets.push([seconds, nanos]),
    flush: () => void state.flushed++,
  };
  return { state, reader: new RingReader({ ring, sink, wallOffset, alongside, now: () => state.now }) };
}

Deno.test("RingReader hands records over and flushes once per batch", () => {
  const { state, reader } = setUp(100);
  reader.poll();
  assert.deepEqual([state.pushed, state.flushed, reader.records, reader.batches], [100, 1, 100, 1]);
  reader.poll();
  assert.equal(state.flushed, 1, "an empty poll wakes nobody");
});

Deno.test("RingReader polls soon after a busy poll, later and later after quiet ones, at once when time ran out", () => {
  const { state, reader } = setUp(1);
  assert.equal(reader.poll(), 5);
  assert.deepEqual(Array.from({ length: 8 }, () => reader.poll()), [10, 15, 20, 25, 30, 35, 40, 40]);
  state.waiting = 10_000;
  assert.equal(reader.poll(), 0);
  assert.equal(state.pushed, 1 + 4096, "4 ms of work");
  assert.equal(reader.poll(), 0);
  assert.equal(reader.poll(), 5);
});

Deno.test("RingReader compares the clocks once a second, also for times before the epoch", () => {
  let offset = 1_700_000_000_123_456_789n;
  const { state, reader } = setUp(0, () => offset);
  reader.poll();
  state.now = 999;
  reader.poll();
  assert.deepEqual(state.offsets, [[1_700_000_000, 123_456_789]]);
  offset = -1n;
  state.now = 1000;
  reader.poll();
  assert.deepEqual(state.offsets[1], [-1, 999_999_999]);
});

Deno.test("RingReader is stalled when records wait for half a minute and none is read", () => {
  const { state, reader } = setUp(0);
  state.now = 100_000;
  assert.equal(reader.stalled, false, "nothing waits");
  reader.poll();
  state.waiting = 1;
  state.stuck = true;
  state.now = 129_000;
  reader.poll();
  assert.equal(reader.stalled, false);
  state.now = 131_000;
  assert.equal(reader.stalled, true);
  assert.equal(reader.stalledMs, 31_000);
  state.stuck = false;
  reader.poll();
  assert.equal(reader.stalled, false);
});

Deno.test("drain() takes everything, or as much as it has time for", () => {
  const { state, reader } = setUp(50_000);
  reader.drain(2);
  assert.equal(state.pushed, 2048);
  reader.drain();
  assert.equal(state.pushed, 50_000);
});

Deno.test("start() polls by itself until stop()", async () => {
  let turns = 0;
  const { state, reader } = setUp(10, undefined, () => ++turns < 5);
  const until = async (done: () => boolean) => {
    for (let tries = 0; tries < 4000 && !done(); tries++) await new Promise((resolve) => setTimeout(resolve, 5));
    assert.ok(done(), `${state.pushed} records, ${turns} turns`);
  };
  reader.start();
  await until(() => state.pushed === 10);
  state.waiting = 5;
  await until(() => state.pushed === 15 && turns >= 5);
  reader.stop();
  reader.stop();
  state.waiting = 1;
  await new Promise((resolve) => setTimeout(resolve, 100));
  assert.equal(state.pushed, 15);
});
