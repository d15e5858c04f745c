import assert from "node:assert/strict";
import { LibbpfError } from "../../../ffi/error.ts";
import { EVENT } from "../../flow/record.ts";
import { ConntrackCollector, type ConntrackCollectorOptions } from "./conntrack_collector.ts";
import { ENTRY, ENTRY_SIZE, KEY, KEY_SIZE, SIDE } from "./conntrack_entry.ts";

const SECOND = 1_000_000_000;

/** Plays the CONNTRACK map: entries by number, with an interface, a time and held-back packets. */
function setUp(options: { batch?: boolean; watched?: (ifindex: number) => boolean } = {}) {
  const entries = new Map<number, { key: Uint8Array; value: Uint8Array }>();
  const state = { now: 1000 * SECOND, created: 0, events: [] as number[], flushed: 0, at: 0, log: [] as string[] };
  let walk: { key: Uint8Array; value: Uint8Array }[] = [];
  const numberOf = (key: Uint8Array) => new DataView(key.buffer, key.byteOffset).getUint32(0, true);
  const map: ConntrackCollectorOptions["map"] = {
    ...{ keySize: KEY_SIZE, bufferSize: ENTRY_SIZE, maxEntries: 100_000 },
    lookupBatch(first, keys, values) {
      if (options.batch === false) throw new LibbpfError("Look up a batch", 22);
      // The kernel walks by buckets: what is removed meanwhile does not shift the rest.
      if (first) walk = [...entries.values()];
      const all = walk;
      state.at = first ? 0 : state.at;
      const slice = all.slice(state.at, state.at + keys.length / KEY_SIZE);
      for (const [index, { key, value }] of slice.entries()) {
        keys.set(key, index * KEY_SIZE);
        values.set(value, index * ENTRY_SIZE);
      }
      state.at += slice.length;
      return { count: slice.length, done: state.at >= all.length };
    },
    nextKey(key, next) {
      const numbers = [...entries.keys()];
      const index = key === null ? 0 : numbers.indexOf(numberOf(key)) + 1;
      if (index >= numbers.length) return false;
      next.set(entries.get(numbers[index])?.key ?? []);
      return true;
    },
    lookup(key, value) {
      const entry = entries.get(numberOf(key));
      value.set(entry?.value ?? []);
      return entry !== undefined;
    },
    take(key, value) {
      const entry = entries.get(numberOf(key));
      value.set(entry?.value ?? []);
      return entries.delete(numberOf(key));
    },
  };
  const write = (message: string) => void state.log.push(message);
  const collector = new ConntrackCollector({
    map,
    sink: {
      push: (words) => void state.events.push(1 + words[EVENT.held_packets / 4]),
      flush: () => void state.flushed++,
    },
    log: { debug: write, info: write, warning: write, error: write },
    monotonic: () => BigInt(state.now),
    eventClock: () => 1n,
    isWatched: options.watched ?? (() => true),
    created: () => state.created,
  });
  const add = (number: number, expires: number, heldPackets = 0, ifindex = 1) => {
    const key = new DataView(new ArrayBuffer(KEY_SIZE));
    key.setUint32(0, number, true);
    key.setUint32(KEY.ifindex, ifindex, true);
    const value = new DataView(new ArrayBuffer(ENTRY_SIZE));
    value.setBigUint64(ENTRY.expires_ns, BigInt(expires), true);
    value.setBigUint64(ENTRY.side + SIDE.held, BigInt(heldPackets) << 36n, true);
    entries.set(number, { key: new Uint8Array(key.buffer), value: new Uint8Array(value.buffer) });
    state.created++;
  };
  return { entries, state, collector, add };
}

for (const batch of [true, false]) {
  const how = batch ? "by batch look-up" : "entry by entry";

  Deno.test(`ConntrackCollector removes what is over and tells what it held back, ${how}`, async () => {
    const { entries, state, collector, add } = setUp({ batch });
    for (let number = 0; number < 5000; number++) {
      add(number, (number % 2 === 0 ? 900 : 1100) * SECOND, number % 10 === 0 ? 7 : 0);
    }
    if (!batch) await collector.sweep(); // finds out that there is no batch look-up
    await collector.sweep();
    assert.equal(entries.size, 2500);
    assert.ok([...entries.keys()].every((number) => number % 2 === 1));
    assert.equal(state.events.length, 500);
    assert.ok(state.flushed > 0 && state.flushed <= 500);
    const { entries: live, expired, evicted, lastPackets, sweeps } = collector.stats;
    assert.deepEqual({ live, expired, evicted, lastPackets, sweeps }, {
      live: 2500,
      expired: 2500,
      evicted: 0,
      lastPackets: 3500,
      sweeps: 1,
    });
    assert.equal(collector.stats.batch, batch);
  });
}

Deno.test("ConntrackCollector leaves an entry alone for a second after its time", async () => {
  const { entries, state, collector, add } = setUp();
  add(1, state.now - 0.5 * SECOND);
  await collector.sweep();
  assert.equal(entries.size, 1);
  state.now += SECOND;
  await collector.sweep();
  assert.equal(entries.size, 0);
});

Deno.test("ConntrackCollector ends the connections of an interface that is gone", async () => {
  const { entries, collector, add } = setUp({ watched: (ifindex) => ifindex === 1 });
  add(1, 2000 * SECOND, 3, 1);
  add(2, 2000 * SECOND, 3, 2);
  await collector.sweep();
  assert.deepEqual([...entries.keys()], [1]);
  assert.equal(collector.stats.lastPackets, 3);
});

Deno.test("ConntrackCollector knows of entries that the kernel gave up", async () => {
  const { entries, collector, add } = setUp();
  for (let number = 0; number < 10; number++) add(number, 2000 * SECOND);
  for (let number = 0; number < 4; number++) entries.delete(number);
  await collector.sweep();
  assert.equal(collector.stats.evicted, 4);
});

Deno.test("ConntrackCollector stops after the slice that runs", async () => {
  const { entries, collector, add } = setUp();
  for (let number = 0; number < 5000; number++) add(number, 0);
  await collector.sweep(() => true);
  assert.ok(entries.size > 0);
  assert.equal(collector.stats.sweeps, 0);
});
