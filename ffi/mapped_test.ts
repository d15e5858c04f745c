import assert from "node:assert/strict";
import { BpfObject } from "./bpf_object.ts";
import { possibleCpuCount } from "./bpf_map.ts";
import { MappedPerf } from "./mapped_perf.ts";
import { MappedRing } from "./mapped_ring.ts";
import type { RecordRing } from "./record_ring.ts";
import { kernelTest, minimalObject, openLibraries } from "./testing.ts";

openLibraries();

const packet = { data: new Uint8Array(100) };

/** Reads `struct sample` of testdata/minimal.bpf.c. */
function readSamples(ring: RecordRing): { sequence: number; length: number; last: number }[] {
  const samples: { sequence: number; length: number; last: number }[] = [];
  ring.drain((u32, at, length) => {
    assert.ok(length >= 32 && length < 40, `${length} bytes`);
    samples.push({ sequence: u32[at / 4], length: u32[at / 4 + 2], last: u32[at / 4 + 6] >>> 24 });
  }, Infinity);
  return samples;
}

function counters(object: BpfObject): { sent: number; failed: number } {
  const sum = (index: number) => {
    const values = new BigUint64Array(possibleCpuCount());
    object.map("COUNTERS").lookup(new Uint8Array(new Uint32Array([index]).buffer), new Uint8Array(values.buffer));
    return Number(values.reduce((total, value) => total + value));
  };
  return { sent: sum(0), failed: sum(1) };
}

kernelTest("MappedRing reads what a program writes, over many turns of the ring", () => {
  using object = BpfObject.open(minimalObject(), "minimal");
  object.setConstant("large_knob", 7).load();
  using ring = new MappedRing(object.map("EVENTS"));
  const emit = object.program("emit");
  let read = 0;
  for (let turn = 0; turn < 20; turn++) {
    emit.testRun({ ...packet, repeat: 50 });
    assert.equal(ring.pendingBytes, 50 * 40);
    for (const sample of readSamples(ring)) {
      assert.deepEqual(sample, { sequence: 7, length: 100, last: 0x7f });
      read++;
    }
  }
  assert.equal(read, 1000);
  assert.deepEqual(counters(object), { sent: 1000, failed: 0 });
});

kernelTest("MappedRing: what does not fit is counted by the program, and the sum is exact", () => {
  using object = BpfObject.open(minimalObject(), "minimal");
  object.load();
  using ring = new MappedRing(object.map("EVENTS"));
  object.program("emit").testRun({ ...packet, repeat: 1000 });
  const { sent, failed } = counters(object);
  assert.equal(sent + failed, 1000);
  assert.ok(failed > 0);
  assert.equal(readSamples(ring).length, sent);
});

kernelTest("MappedPerf reads what a program writes and counts what was lost", () => {
  using object = BpfObject.open(minimalObject("perf"), "minimal");
  object.setConstant("large_knob", 9).load();
  using ring = new MappedPerf(object.map("EVENTS"), 1);
  const emit = object.program("emit");
  let read = 0;
  const total = 10 * 200;
  for (let turn = 0; turn < 10; turn++) {
    emit.testRun({ ...packet, repeat: 200 });
    for (const sample of readSamples(ring)) {
      assert.deepEqual(sample, { sequence: 9, length: 100, last: 0x7f });
      read++;
    }
  }
  const lost = () => [...ring.lost().values()].reduce((sum, count) => sum + count, 0);
  assert.ok(lost() > 0);
  // The kernel reports a loss with the next sample that fits, on each CPU for itself: the last losses are known to the program alone.
  const { sent, failed } = counters(object);
  assert.equal(sent, read);
  assert.equal(sent + failed, total);
  assert.ok(lost() <= failed);
});

kernelTest("a closed ring is closed once and finds nothing", () => {
  using object = BpfObject.open(minimalObject(), "minimal");
  object.load();
  const ring = new MappedRing(object.map("EVENTS"));
  object.program("emit").testRun(packet);
  ring[Symbol.dispose]();
  ring[Symbol.dispose]();
  assert.deepEqual(readSamples(ring), []);
  assert.equal(ring.pendingBytes, 0);
});

kernelTest("MappedRing refuses a map that is no ring", () => {
  using object = BpfObject.open(minimalObject(), "minimal");
  object.load();
  assert.throws(() => new MappedRing(object.map("TABLE")), /^SystemError: Map 4096 bytes of ring TABLE: /);
});
