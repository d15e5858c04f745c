import assert from "node:assert/strict";
import { BpfObject } from "./bpf_object.ts";
import { BpfMap, MapType, mapTypeSupported, possibleCpuCount } from "./bpf_map.ts";
import { kernelTest, minimalObject, openLibraries } from "./testing.ts";

openLibraries();

function key(number: number): Uint8Array {
  return new Uint8Array(new Uint32Array([number]).buffer);
}

function value(number: number): Uint8Array {
  return new Uint8Array(new BigUint64Array([BigInt(number)]).buffer);
}

function withTable(run: (table: BpfMap, object: BpfObject) => void): void {
  using object = BpfObject.open(minimalObject(), "minimal");
  object.load();
  run(object.map("TABLE"), object);
}

kernelTest("BpfMap looks up, updates, takes and deletes", () => {
  withTable((table) => {
    const out = new Uint8Array(8);
    assert.equal(table.lookup(key(1), out), false);
    table.update(key(1), value(10));
    assert.equal(table.lookup(key(1), out), true);
    assert.deepEqual(out, value(10));
    table.update(key(1), value(11));
    out.fill(0);
    assert.equal(table.take(key(1), out), true);
    assert.deepEqual(out, value(11));
    assert.equal(table.take(key(1), out), false);
    assert.equal(table.delete(key(1)), false);
    table.update(key(2), value(2));
    assert.equal(table.delete(key(2)), true);
  });
});

kernelTest("BpfMap refuses keys and values of the wrong size", () => {
  withTable((table) => {
    assert.throws(
      () => table.lookup(new Uint8Array(3), value(0)),
      /Cannot use a key of 3 bytes with BPF map TABLE: expected 4/,
    );
    assert.throws(() => table.lookup(key(0), new Uint8Array(7)), /value of 7 bytes .* expected 8/);
    assert.throws(() => table.nextKey(null, new Uint8Array(5)), RangeError);
  });
});

kernelTest("nextKey() walks over every key", () => {
  withTable((table) => {
    for (let number = 0; number < 20; number++) table.update(key(number), value(number));
    const seen = new Set<number>();
    const next = new Uint8Array(4);
    for (let at: Uint8Array | null = null; table.nextKey(at, next); at = next.slice()) {
      seen.add(new Uint32Array(next.buffer)[0]);
    }
    assert.equal(seen.size, 20);
  });
});

kernelTest("lookupBatch() and deleteBatch() see every entry once", () => {
  withTable((table) => {
    for (let number = 0; number < 50; number++) table.update(key(number), value(number));
    const keys = new Uint8Array(16 * 4);
    const values = new Uint8Array(16 * 8);
    const seen: number[] = [];
    for (let first = true, done = false; !done; first = false) {
      const batch = table.lookupBatch(first, keys, values);
      for (let index = 0; index < batch.count; index++) {
        assert.equal(new BigUint64Array(values.buffer)[index], BigInt(new Uint32Array(keys.buffer)[index]));
        seen.push(new Uint32Array(keys.buffer)[index]);
      }
      done = batch.done;
    }
    assert.deepEqual(seen.sort((a, b) => a - b), Array.from({ length: 50 }, (_, number) => number));

    // Every second key of the first ten is gone already.
    for (let number = 0; number < 10; number += 2) table.delete(key(number));
    const all = new Uint8Array(new Uint32Array(50).map((_, number) => number).buffer);
    assert.equal(table.deleteBatch(all, 50), 45);
    assert.equal(table.nextKey(null, new Uint8Array(4)), false);
  });
});

kernelTest("a per-CPU lookup gives one value for each possible CPU", () => {
  withTable((_, object) => {
    const counters = object.map("COUNTERS");
    assert.equal(counters.bufferSize, 8 * possibleCpuCount());
    for (let run = 0; run < 5; run++) object.program("emit").testRun({ data: new Uint8Array(64) });
    const values = new BigUint64Array(possibleCpuCount());
    assert.equal(counters.lookup(key(0), new Uint8Array(values.buffer)), true);
    assert.equal(values.reduce((sum, count) => sum + count), 5n);
  });
});

kernelTest("mapTypeSupported() tells by making a map", () => {
  assert.equal(mapTypeSupported(MapType.HASH, 4, 8, 1), true);
  assert.equal(mapTypeSupported(9999, 4, 8, 1), false);
});
