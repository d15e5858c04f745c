import assert from "node:assert/strict";
import { BpfObject } from "./bpf_object.ts";
import { LibbpfError } from "./error.ts";
import { kernelTest, minimalObject, openLibraries } from "./testing.ts";

openLibraries();

const packet = new Uint8Array(64).fill(1);

kernelTest("BpfObject.open() lists maps and programs before anything is loaded", () => {
  using object = BpfObject.open(minimalObject(), "minimal");
  assert.deepEqual(object.programNames(), ["emit", "pass", "drop", "broken"]);
  const names = object.mapNames();
  for (const name of ["TABLE", "COUNTERS", "EVENTS"]) assert.ok(names.includes(name), `${name} in ${names}`);
});

kernelTest("BpfObject.open() refuses bytes that are no BPF object", () => {
  assert.throws(() => BpfObject.open(new Uint8Array(100), "zeros"), (error: unknown) => {
    assert.ok(error instanceof LibbpfError);
    assert.match(error.message, /^Open BPF object zeros: /);
    assert.match(error.log ?? "", /libbpf/);
    return true;
  });
});

kernelTest("load() makes maps with the sizes that were set", () => {
  using object = BpfObject.open(minimalObject(), "minimal");
  object.setMaxEntries("TABLE", 7).setMaxEntries("EVENTS", 8192).load();
  assert.equal(object.map("TABLE").maxEntries, 7);
  assert.equal(object.map("EVENTS").maxEntries, 8192);
  assert.equal(object.map("EVENTS").type, 27);
});

kernelTest("setConstant() reaches the program", () => {
  using object = BpfObject.open(minimalObject(), "minimal");
  object.setConstant("small_knob", 42).load();
  assert.equal(object.program("pass").testRun({ data: packet }).returnValue, 42);
});

kernelTest("setConstant() refuses unknown names and values that do not fit", () => {
  using object = BpfObject.open(minimalObject(), "minimal");
  assert.throws(() => object.setConstant("no_such_knob", 1), /Cannot set no_such_knob: .*has no such constant/);
  assert.throws(() => object.setConstant("small_knob", 2 ** 32), /Cannot set small_knob to 4294967296: .*4 bytes/);
  assert.throws(() => object.setConstant("small_knob", -1), RangeError);
  object.setConstant("large_knob", 2n ** 64n - 1n).load();
  assert.throws(() => object.setConstant("small_knob", 1), /already loaded/);
});

kernelTest("reuseMap() lets the programs of two objects share a map", () => {
  using first = BpfObject.open(minimalObject(), "minimal");
  first.load();
  using second = BpfObject.open(minimalObject(), "minimal");
  second.reuseMap(first.map("COUNTERS")).setAutoload("pass", false).load();
  second.program("emit").testRun({ data: packet, repeat: 3 });
  const values = new Uint8Array(first.map("COUNTERS").bufferSize);
  first.map("COUNTERS").lookup(new Uint8Array(4), values);
  assert.equal(new BigUint64Array(values.buffer).reduce((sum, count) => sum + count), 3n);
});

kernelTest("load() reports the verifier's log and a hint", () => {
  using object = BpfObject.open(minimalObject(), "minimal");
  object.setAutoload("broken", true);
  assert.throws(() => object.load(), (error: unknown) => {
    assert.ok(error instanceof LibbpfError);
    assert.match(
      error.message,
      /^Load BPF object minimal: (EACCES|EINVAL): the verifier rejected a program, see its log$/,
    );
    assert.match(error.log ?? "", /invalid (access to packet|mem access)/);
    return true;
  });
});

kernelTest("program() and map() name what is missing", () => {
  using object = BpfObject.open(minimalObject(), "minimal");
  object.load();
  assert.throws(() => object.map("NOPE"), /Cannot find map NOPE in BPF object minimal/);
  assert.throws(() => object.program("nope"), /Cannot find program nope in BPF object minimal/);
});

kernelTest("testRun() runs a program as often as asked and times it", () => {
  using object = BpfObject.open(minimalObject(), "minimal");
  object.load();
  const result = object.program("drop").testRun({ data: packet, repeat: 1000 });
  assert.equal(result.returnValue, 2);
  assert.ok(result.durationNanos < 100_000, `${result.durationNanos} ns`);
  assert.deepEqual(result.data, packet);
});

kernelTest("testRun() passes a context on", () => {
  using object = BpfObject.open(minimalObject(), "minimal");
  object.load();
  // struct __sk_buff: the kernel lets a test set mark (offset 8); it refuses what it does not know.
  const context = new Uint8Array(192);
  context[8] = 7;
  assert.equal(object.program("drop").testRun({ data: packet, context }).returnValue, 2);
  context[0] = 1; // len cannot be set
  assert.throws(
    () => object.program("drop").testRun({ data: packet, context }),
    /Test run of BPF program drop: EINVAL/,
  );
});

kernelTest("a closed object is closed once and says so afterwards", () => {
  const object = BpfObject.open(minimalObject(), "minimal");
  object.load();
  object[Symbol.dispose]();
  object[Symbol.dispose]();
  assert.throws(() => object.program("drop"), /is closed/);
});

kernelTest("btf tells the layout of the program's structs", () => {
  using object = BpfObject.open(minimalObject(), "minimal");
  const sample = object.btf.struct("sample");
  assert.equal(sample?.size, 32);
  assert.deepEqual(sample?.fields.get("address"), { offset: 12, size: 16 });
  assert.deepEqual([...object.btf.section(".rodata").keys()].sort(), ["large_knob", "small_knob"]);
});
