import assert from "node:assert/strict";
import { isSpace, toLower, trimSpace } from "./text.ts";

Deno.test("isSpace() follows Go, not JavaScript", () => {
  for (const space of "\t\n\v\f\r \u0085\u00a0\u2028\u3000") assert.equal(isSpace(space), true);
  for (const other of "a_\u200b\ufeff\0") assert.equal(isSpace(other), false);
});

Deno.test("trimSpace() cuts both ends and nothing inside", () => {
  assert.equal(trimSpace(" \u0085 a b\t\n"), "a b");
  assert.equal(trimSpace("\ufeffa"), "\ufeffa");
  assert.equal(trimSpace(" \t "), "");
});

Deno.test("toLower() lowers each character for itself", () => {
  assert.equal(toLower("ABC.é-É"), "abc.é-é");
  assert.equal(toLower("\u0130\u0391\u03a3"), "i\u03b1\u03c3");
});
