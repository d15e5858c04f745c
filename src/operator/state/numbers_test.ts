import assert from "node:assert/strict";
import fc from "fast-check";
import { FIRST_NUMBER, NUMBER_COUNT, numberOf } from "../../identity/numeric.ts";
import { type LabelSet, Numbers } from "./numbers.ts";

/** Two label sets of namespace `ns` whose hashes ask for the same number. */
function collision(): [string[], string[]] {
  const seen = new Map<number, string>();
  for (let i = 0;; i++) {
    const number = numberOf("ns", [`app=${i}`]);
    const other = seen.get(number);
    if (other !== undefined) return [[other], [`app=${i}`]];
    seen.set(number, `app=${i}`);
  }
}

Deno.test("Numbers gives the number of the hash, once for each set of labels", () => {
  const numbers = new Numbers();
  const one = numbers.acquire("default", ["app=nginx"]);
  const same = numbers.acquire("default", ["app=nginx"]);
  numbers.settle();
  assert.equal(one, same);
  assert.equal(one.number, 12077);
  assert.equal(numbers.size, 1);
});

Deno.test("Numbers resolves a collision, the same way whatever came first", () => {
  const [first, second] = collision();
  const outcome = (order: string[][]) => {
    const numbers = new Numbers();
    const sets = order.map((labels) => numbers.acquire("ns", labels));
    numbers.settle();
    assert.equal(numbers.collisions, 1);
    return new Map(sets.map((set) => [set.labels[0], set.number]));
  };
  const forward = outcome([first, second]), backward = outcome([second, first]);
  assert.deepEqual(new Map([...backward].sort()), new Map([...forward].sort()));
  assert.equal(new Set(forward.values()).size, 2);
});

Deno.test("Numbers keeps the number of a set that is in use, and frees it afterwards", () => {
  const [first, second] = collision();
  const numbers = new Numbers();
  const one = numbers.acquire("ns", first);
  numbers.settle();
  const two = numbers.acquire("ns", second);
  numbers.settle();
  const preferred = numberOf("ns", first);
  assert.equal(one.number, preferred);
  assert.notEqual(two.number, preferred);
  numbers.release(one);
  assert.equal(two.number === preferred, false);
  numbers.release(two);
  assert.deepEqual([numbers.size, numbers.collisions], [0, 0]);
  const again = numbers.acquire("ns", second);
  numbers.settle();
  assert.equal(again.number, preferred);
});

Deno.test("Numbers never gives one number to two sets, as long as there are enough", () => {
  fc.assert(
    fc.property(fc.array(fc.tuple(fc.nat(300), fc.boolean()), { maxLength: 400 }), (steps) => {
      const numbers = new Numbers();
      const held: LabelSet[] = [];
      for (const [n, settle] of steps) {
        if (n % 3 === 0 && held.length > 0) numbers.release(held.splice(n % held.length, 1)[0]);
        else held.push(numbers.acquire("ns", [`n=${n}`]));
        if (settle) numbers.settle();
      }
      numbers.settle();
      const distinct = new Set(held);
      assert.equal(new Set([...distinct].map(({ number }) => number)).size, distinct.size);
      assert.equal(numbers.size, distinct.size);
    }),
    { numRuns: 50 },
  );
});

Deno.test("Numbers shares numbers when all are taken, and says so", () => {
  const numbers = new Numbers();
  const sets = Array.from({ length: NUMBER_COUNT + 10 }, (_, i) => numbers.acquire("ns", [`n=${i}`]));
  numbers.settle();
  assert.equal(numbers.exhausted, 10);
  for (const { number } of sets) assert.ok(number >= FIRST_NUMBER && number < FIRST_NUMBER + NUMBER_COUNT);
  for (const set of sets) numbers.release(set);
  assert.deepEqual([numbers.size, numbers.collisions, numbers.exhausted], [0, 0, 0]);
});
