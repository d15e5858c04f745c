import assert from "node:assert/strict";
import fc from "fast-check";
import { formatPrefix, parseAddress, parsePrefix } from "./address.ts";
import { IpCache, type IpCacheChange, Layer } from "./ip_cache.ts";
import { HOST_IDENTITY, makeIdentity } from "./make.ts";
import { IdentityTable } from "./table.ts";

function words(address: string): Uint32Array {
  const bytes = new Uint8Array(16);
  assert.ok(parseAddress(address, bytes), address);
  return new Uint32Array(bytes.buffer);
}

function pod(name: string) {
  return makeIdentity({ numeric: 1000, namespace: "ns", pod: name });
}

function newCache() {
  const table = new IdentityTable();
  const cache = new IpCache(table);
  const podAt = (address: string) => table.get(cache.lookup(words(address), 0)).pod;
  return { table, cache, podAt };
}

Deno.test("IpCache.lookup() finds an address, else the longest CIDR, else the world", () => {
  const { cache, podAt } = newCache();
  for (const p of ["10.0.0.0/8", "10.1.0.0/16", "10.1.2.3", "0.0.0.0/0", "fd00::/8", "fd00:1::/32", "fd00:1::5"]) {
    assert.equal(cache.set(p, pod(p)), true);
  }
  assert.equal(podAt("10.1.2.3"), "10.1.2.3");
  assert.equal(podAt("10.1.2.4"), "10.1.0.0/16");
  assert.equal(podAt("10.200.2.4"), "10.0.0.0/8");
  assert.equal(podAt("192.168.255.255"), "0.0.0.0/0");
  assert.equal(podAt("fd00:1::5"), "fd00:1::5");
  assert.equal(podAt("fd00:1:ffff::"), "fd00:1::/32");
  assert.equal(podAt("fdff::1"), "fd00::/8");
  assert.equal(cache.lookup(words("2001:db8::1"), 0), IdentityTable.WORLD);
  cache.delete("0.0.0.0/0");
  assert.equal(cache.lookup(words("192.168.255.255"), 0), IdentityTable.WORLD);
});

Deno.test("IpCache.lookup() reads at any offset and treats a mapped address as IPv4", () => {
  const { cache, table } = newCache();
  cache.set("::ffff:10.0.0.1", pod("a"));
  const u32 = new Uint32Array(12);
  u32.set(words("10.0.0.1"), 6);
  assert.equal(table.get(cache.lookup(u32, 6)).pod, "a");
  assert.deepEqual([...cache.entries()].map(([prefix]) => prefix), ["10.0.0.1"]);
});

Deno.test("IpCache.set() tells a change from a repetition", () => {
  const { cache, podAt } = newCache();
  const seen: string[] = [];
  const stop = cache.subscribe((c: IpCacheChange) => seen.push(`${c.kind} ${c.prefix} ${c.old?.pod} ${c.new?.pod}`));
  assert.equal(cache.set("10.0.0.1", pod("a")), true);
  assert.equal(cache.set("10.0.0.1", pod("a")), false);
  assert.equal(cache.set("10.0.0.1", pod("b")), true);
  assert.equal(podAt("10.0.0.1"), "b");
  assert.equal(cache.size, 1);
  assert.equal(cache.delete("10.0.0.1"), true);
  assert.equal(cache.delete("10.0.0.1"), false);
  assert.equal(cache.size, 0);
  stop();
  cache.set("10.0.0.1", pod("c"));
  assert.deepEqual(seen, ["upsert 10.0.0.1 undefined a", "upsert 10.0.0.1 a b", "delete 10.0.0.1 b undefined"]);
});

Deno.test("IpCache.get() takes addresses and exact CIDRs", () => {
  const { cache } = newCache();
  cache.set("10.0.0.0/8", pod("net"));
  assert.equal(cache.get("10.1.1.1")?.pod, "net");
  assert.equal(cache.get("10.0.0.0/8")?.pod, "net");
  assert.equal(cache.get("10.0.0.0/9"), undefined);
  assert.equal(cache.get("11.0.0.1"), undefined);
  assert.equal(cache.get("nonsense"), undefined);
  assert.throws(() => cache.set("10.0.0.0/40", pod("x")), SyntaxError);
});

Deno.test("IpCache keeps the lower layer's word under a higher one", () => {
  const { cache, podAt } = newCache();
  cache.set("10.0.0.1", pod("cluster"));
  assert.equal(cache.set("10.0.0.1", HOST_IDENTITY, Layer.HOST), true);
  assert.equal(cache.lookup(words("10.0.0.1"), 0), IdentityTable.HOST);
  assert.equal(cache.set("10.0.0.1", pod("changed")), false);
  assert.equal(cache.set("10.0.0.1", pod("file"), Layer.FILE), false);
  assert.equal(cache.delete("10.0.0.1", Layer.HOST), true);
  assert.equal(podAt("10.0.0.1"), "file");
  assert.equal(cache.delete("10.0.0.1", Layer.FILE), true);
  assert.equal(podAt("10.0.0.1"), "changed");
  assert.equal(cache.delete("10.0.0.1", Layer.FILE), false);
  assert.equal(cache.delete("10.0.0.1"), true);
  cache.set("10.0.0.2", HOST_IDENTITY, Layer.HOST);
  assert.equal(cache.delete("10.0.0.2"), false);
  assert.equal(cache.delete("10.0.0.2", Layer.HOST), true);
  assert.equal(cache.size, 0);
});

Deno.test("IpCache calls the agent's own node an API server too, when the operator does", () => {
  const { cache } = newCache();
  cache.set("172.18.0.2", HOST_IDENTITY, Layer.HOST);
  cache.set("172.18.0.2", makeIdentity({ numeric: 7, node: "node-1", labels: ["reserved:kube-apiserver"] }));
  const both = cache.get("172.18.0.2")!;
  assert.deepEqual([both.numeric, both.labels], [1, ["reserved:host", "reserved:kube-apiserver"]]);
  cache.set("172.18.0.2", makeIdentity({ numeric: 6, node: "node-1" }));
  assert.equal(cache.get("172.18.0.2"), HOST_IDENTITY);
});

Deno.test("IpCache holds one table reference for each entry", () => {
  const { cache, table } = newCache();
  const before = table.size;
  for (let i = 0; i < 1000; i++) cache.set(`10.0.${i >> 8}.${i & 255}`, pod(`p${i}`));
  for (let i = 0; i < 1000; i++) cache.set(`10.0.${i >> 8}.${i & 255}`, pod(`q${i}`));
  assert.equal(table.size, before + 1000);
  for (let i = 0; i < 1000; i++) cache.delete(`10.0.${i >> 8}.${i & 255}`);
  assert.equal(table.size, before);
});

Deno.test("IpCache equals a plain map after any history", () => {
  const address = fc.oneof(
    fc.integer({ min: 0, max: 40 }).map((n) => `10.0.0.${n}`),
    fc.integer({ min: 1, max: 40 }).map((n) => `fd00::${n.toString(16)}`),
    fc.constantFrom("10.0.0.0/8", "10.0.0.0/28", "10.0.0.16/28", "fd00::/64", "fd00::10/124", "::/0"),
  );
  const step = fc.record({ prefix: address, name: fc.option(fc.constantFrom("a", "b", "c"), { nil: undefined }) });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
      const { cache, table } = newCache();
      const model = new Map<string, string>();
      for (const { prefix, name } of steps) {
        if (name === undefined) assert.equal(cache.delete(prefix), model.delete(prefix));
        else {
          assert.equal(cache.set(prefix, pod(name)), model.get(prefix) !== name);
          model.set(prefix, name);
        }
      }
      assert.equal(cache.size, model.size);
      assert.deepEqual(new Map([...cache.entries()].map(([p, identity]) => [p, identity.pod])), model);
      for (let n = 0; n <= 40; n++) {
        for (const text of [`10.0.0.${n}`, `fd00::${n.toString(16)}`]) {
          const expected = longest(model, text);
          const index = cache.lookup(words(text), 0);
          assert.equal(index === IdentityTable.WORLD ? undefined : table.get(index).pod, expected, text);
        }
      }
    }),
  );
});

/** The entry with the longest prefix that covers an address, by comparing bits. */
function longest(model: Map<string, string>, text: string): string | undefined {
  const address = parsePrefix(text)!;
  let best = -1, found: string | undefined;
  for (const [key, name] of model) {
    const prefix = parsePrefix(key)!;
    if (prefix.family !== address.family || prefix.length <= best) continue;
    const masked = parsePrefix(`${text}/${prefix.length}`)!;
    if (formatPrefix(masked) !== formatPrefix(prefix)) continue;
    best = prefix.length;
    found = name;
  }
  return found;
}

Deno.test("IpCache.onSynced() calls once, at the first synchronization or at once", () => {
  const cache = new IpCache(new IdentityTable());
  let calls = 0;
  cache.onSynced(() => calls++);
  assert.equal(calls, 0);
  cache.markSynced();
  cache.markSynced();
  assert.equal(calls, 1);
  cache.onSynced(() => calls++);
  assert.equal(calls, 2);
});
