import { BinaryReader } from "@bufbuild/protobuf/wire";
import fc from "fast-check";
import assert from "node:assert/strict";
import { concat, lengthDelimited, stringField, varintSize, writeBytes, writeVarint } from "./bytes.ts";

Deno.test("writeVarint() is read back, in as few bytes as possible", () => {
  const edges = [0, 127, 128, 16383, 16384, 2097151, 2097152, 268435455, 268435456, 2 ** 32 - 1, 2 ** 32, 2 ** 53 - 1];
  fc.assert(fc.property(fc.oneof(fc.constantFrom(...edges), fc.maxSafeNat()), (value) => {
    const out = new Uint8Array(10);
    const end = writeVarint(out, 1, value);
    const reader = new BinaryReader(out.subarray(1, end));
    assert.equal(Number(reader.uint64()), value);
    assert.equal(reader.pos, end - 1);
    assert.notEqual(out[end - 1] === 0 && end > 2, true, "no padding");
    if (value < 2 ** 32) assert.equal(varintSize(value), end - 1);
  }));
});

Deno.test("writeBytes() copies any length", () => {
  for (let length = 0; length < 40; length++) {
    const bytes = Uint8Array.from({ length }, (_, i) => i + 1);
    const out = new Uint8Array(64);
    assert.equal(writeBytes(out, 3, bytes), 3 + length);
    assert.deepEqual(out.subarray(3, 3 + length), bytes);
    assert.equal(out[3 + length], 0);
  }
});

Deno.test("fields are left out when empty", () => {
  assert.equal(stringField(1, "").length, 0);
  assert.deepEqual([...stringField(1000, "ab")], [0xc2, 0x3e, 2, 97, 98]);
  assert.deepEqual([...lengthDelimited(2, concat(Uint8Array.of(1), Uint8Array.of(2, 3)))], [0x12, 3, 1, 2, 3]);
});
