/**
 * Look-ups in the identity cache at several sizes, hits and misses, both families. One iteration is 1,000 look-ups of
 * addresses in random order: divide by 1,000.
 */
import { IpCache } from "../src/identity/ip_cache.ts";
import { makeIdentity } from "../src/identity/make.ts";
import { IdentityTable } from "../src/identity/table.ts";
import { parseAddress } from "../src/identity/address.ts";

const LOOKUPS = 1000;

function address(family: 4 | 6, n: number): string {
  return family === 4
    ? `10.${n >> 16}.${n >> 8 & 255}.${n & 255}`
    : `fd00:10:0:${(n >> 16).toString(16)}::${(n & 0xffff).toString(16)}`;
}

/** Words of addresses that a generator with a fixed seed picks. */
function pick(family: 4 | 6, from: number, count: number): Uint32Array {
  const bytes = new Uint8Array(16);
  const words = new Uint32Array(4 * LOOKUPS);
  let seed = 1;
  for (let i = 0; i < LOOKUPS; i++) {
    seed = Math.imul(seed, 1664525) + 1013904223 >>> 0;
    parseAddress(address(family, from + seed % count), bytes);
    words.set(new Uint32Array(bytes.buffer), 4 * i);
  }
  return words;
}

let sink = 0;
for (const size of [100, 1_000, 10_000, 100_000]) {
  for (const family of [4, 6] as const) {
    const cache = new IpCache(new IdentityTable());
    for (let i = 0; i < size; i++) cache.set(address(family, i), makeIdentity({ numeric: 300 + i, pod: `p${i}` }));
    const runs = { hit: pick(family, 0, size), miss: pick(family, size, size) };
    for (const [name, words] of Object.entries(runs)) {
      Deno.bench({
        name: `IPv${family}, ${size} entries, ${name}`,
        group: `look-up x ${LOOKUPS}`,
        fn: () => {
          for (let i = 0; i < LOOKUPS; i++) sink += cache.lookup(words, 4 * i);
        },
      });
    }
  }
}
globalThis.addEventListener("unload", () => {
  if (sink === 0) console.error("Nothing was found");
});
