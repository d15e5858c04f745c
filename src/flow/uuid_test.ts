import assert from "node:assert/strict";
import { saltWords, uuidText } from "./uuid.ts";

const salt = saltWords(Uint8Array.from({ length: 16 }, (_, i) => i * 11));
const VERSION_4 = /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;

Deno.test("a uuid has the form of version 4, and no two positions share one", () => {
  const seen = new Set<string>();
  const starts = [0, 2 ** 31 - 5000, 2 ** 32 - 5000, 2 ** 40, 2 ** 52];
  for (const start of starts) {
    for (let i = 0; i < 10_000; i++) {
      const uuid = uuidText(salt, start + i);
      if (!VERSION_4.test(uuid)) assert.fail(`${uuid} has no version 4 form`);
      seen.add(uuid);
    }
  }
  assert.equal(seen.size, starts.length * 10_000);
});

Deno.test("the same position has the same uuid, with another salt another one", () => {
  assert.equal(uuidText(salt, 7), uuidText(salt, 7));
  const other = saltWords(new Uint8Array(16));
  for (let position = 0; position < 100; position++) {
    assert.notEqual(uuidText(salt, position), uuidText(other, position));
  }
});

Deno.test("saltWords() wants 16 bytes", () => {
  assert.throws(() => saltWords(new Uint8Array(15)), { name: "RangeError", message: /salt of 15 bytes: expected 16$/ });
});
