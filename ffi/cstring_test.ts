import assert from "node:assert/strict";
import { fromCString, toCString } from "./cstring.ts";

Deno.test("toCString() ends with a zero and refuses one inside", () => {
  assert.deepEqual([...toCString("eth0")], [101, 116, 104, 48, 0]);
  assert.deepEqual([...toCString("")], [0]);
  assert.equal(toCString("é").length, 3);
  assert.throws(() => toCString("a\0b"), /Cannot pass "a\\u0000b" to C: it contains a NUL byte/);
});

Deno.test("fromCString() stops at the first zero", () => {
  assert.equal(fromCString(new Uint8Array([101, 116, 0, 104])), "et");
  assert.equal(fromCString(new Uint8Array([101, 116])), "et");
  assert.equal(fromCString(new Uint8Array([0xff, 0x41, 0])), "\ufffdA");
});
