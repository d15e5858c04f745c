import assert from "node:assert/strict";
import fc from "fast-check";
import { HOST_IDENTITY, makeIdentity, UNKNOWN_IDENTITY, WORLD_IDENTITY } from "./make.ts";
import { IdentityTable } from "./table.ts";

Deno.test("IdentityTable has the fixed indices from the start", () => {
  const table = new IdentityTable();
  assert.equal(table.get(IdentityTable.UNKNOWN), UNKNOWN_IDENTITY);
  assert.equal(table.get(IdentityTable.WORLD), WORLD_IDENTITY);
  assert.equal(table.get(IdentityTable.HOST), HOST_IDENTITY);
  assert.equal(table.add(HOST_IDENTITY), IdentityTable.HOST);
  table.release(IdentityTable.HOST);
  assert.equal(table.get(IdentityTable.HOST), HOST_IDENTITY);
});

Deno.test("IdentityTable keeps an identity while a slot refers to it, and then reuses the index", () => {
  const table = new IdentityTable();
  const a = makeIdentity({ pod: "a" }), b = makeIdentity({ pod: "b" });
  const index = table.add(a);
  table.retain(index);
  table.release(index);
  assert.equal(table.get(index), a);
  assert.notEqual(table.add(b), index);
  table.release(index);
  assert.equal(table.add(b), index);
  assert.equal(table.get(index), b);
});

Deno.test("IdentityTable never gives out an index that is referred to", () => {
  fc.assert(
    fc.property(fc.array(fc.integer({ min: -6000, max: 3000 }), { maxLength: 60 }), (steps) => {
      const table = new IdentityTable();
      const held: [index: number, pod: string][] = [];
      let serial = 0;
      for (const step of steps) {
        // A positive step adds that many, a negative one releases.
        for (let i = 0; i < step % 1100; i++) {
          const pod = `p${serial++}`;
          held.push([table.add(makeIdentity({ pod })), pod]);
        }
        for (let i = step; i < 0 && held.length > 0; i += 7) table.release(held.splice(held.length >> 1, 1)[0][0]);
      }
      for (const [index, pod] of held) assert.equal(table.get(index).pod, pod);
      assert.equal(table.size, held.length + 3);
    }),
    { numRuns: 20 },
  );
});
