import assert from "node:assert/strict";
import { FilterError, quote, quoteCharacter, within } from "./error.ts";

Deno.test("quote() writes what Go's %q writes", () => {
  const cases: [string, string][] = [
    ["plain", '"plain"'],
    ['say "hi"', '"say \\"hi\\""'],
    ["it's", '"it\'s"'],
    ["back\\slash", '"back\\\\slash"'],
    ["\x00\x07\b\f\n\r\t\v\x1b\x7f", '"\\x00\\a\\b\\f\\n\\r\\t\\v\\x1b\\x7f"'],
    ["é世🌍", '"é世🌍"'],
    ["\u00a0\u200b\ufeff\u{e0001}", '"\\u00a0\\u200b\\ufeff\\U000e0001"'],
  ];
  for (const [text, quoted] of cases) assert.equal(quote(text), quoted);
});

Deno.test("quoteCharacter() escapes the single quote, not the double one", () => {
  assert.equal(quoteCharacter("?"), "'?'");
  assert.equal(quoteCharacter("'"), "'\\''");
  assert.equal(quoteCharacter('"'), "'\"'");
  assert.equal(quoteCharacter("🌍"), "'🌍'");
});

Deno.test("within() prefixes a FilterError and leaves other errors alone", () => {
  assert.throws(
    () =>
      within("invalid protocol filter", () => {
        throw new FilterError("x");
      }),
    (error: unknown) => error instanceof FilterError && error.message === "invalid protocol filter: x",
  );
  const bug = new TypeError("bug");
  assert.throws(
    () =>
      within("words", () => {
        throw bug;
      }),
    (error: unknown) => error === bug,
  );
  assert.equal(within("words", () => 3), 3);
});

Deno.test("FilterError cuts what no client could read", () => {
  const { message } = new FilterError(quote("a".repeat(1_000_000)));
  assert.equal(message.length, 4099);
  assert.ok(message.endsWith("aaa..."));
});
