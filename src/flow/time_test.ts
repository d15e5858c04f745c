import fc from "fast-check";
import assert from "node:assert/strict";
import { event, fixture } from "./test_support.ts";
import { wallNanos, wallSeconds } from "./time.ts";

Deno.test("wall time is exact for every u64 of nanoseconds and every offset", () => {
  const { push, store } = fixture({ capacity: 1 });
  const u64 = fc.oneof(
    fc.bigInt({ min: 0n, max: (1n << 64n) - 1n }),
    fc.constantFrom(0n, 1n, (1n << 32n) - 1n, 1n << 32n, (1n << 53n) + 1n, (1n << 48n) - 1n, (1n << 64n) - 1n),
    // Around whole seconds, where a rounded quotient would be one off.
    fc.bigInt({ min: 0n, max: 18_446_744_072n }).chain((s) =>
      fc.constantFrom(-1n, 0n, 1n).map((d) => s * 1_000_000_000n + d)
    )
      .filter((ns) => ns >= 0n),
  );
  const nanos = fc.oneof(fc.constantFrom(0, 999_999_999), fc.nat(999_999_999));
  fc.assert(
    fc.property(u64, fc.nat(0x7fffffff), nanos, (ts_ns, seconds, rest) => {
      const { at } = push(event({ ts_ns }), { wall: [2 * seconds + 1, rest] });
      const expected = BigInt(2 * seconds + 1) * 1_000_000_000n + BigInt(rest) + ts_ns;
      assert.equal(BigInt(wallSeconds(store.u32, at)) * 1_000_000_000n + BigInt(wallNanos(store.u32, at)), expected);
      assert.ok(wallNanos(store.u32, at) < 1_000_000_000);
    }),
    { numRuns: 2000 },
  );
});
