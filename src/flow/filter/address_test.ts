import assert from "node:assert/strict";
import fc from "fast-check";
import { parseAddress as readAddress } from "../../identity/address.ts";
import { type AddressRange, parseAddress, parseRange, rangeCovers, rangeHasWords } from "./address.ts";

function words(address: string): Uint32Array {
  const bytes = new Uint8Array(16);
  assert.ok(readAddress(address, bytes), address);
  return new Uint32Array(bytes.buffer);
}

function has(range: string, address: string): boolean {
  const parsed = parseRange(range) as AddressRange;
  return parsed.family === (address.includes(":") ? 6 : 4) && rangeHasWords(parsed, words(address), 0);
}

Deno.test("parseRange() ignores bits behind the prefix and keeps the families apart", () => {
  assert.equal(has("10.1.2.3/8", "10.255.0.1"), true);
  assert.equal(has("10.1.2.3/8", "11.0.0.0"), false);
  assert.equal(has("0.0.0.0/0", "255.255.255.255"), true);
  assert.equal(has("0.0.0.0/0", "::ffff:1.2.3.4"), false);
  assert.equal(has("::/0", "1.2.3.4"), false);
  assert.equal(has("::/0", "::ffff:1.2.3.4"), true);
  assert.equal(has("::ffff:1.2.3.0/120", "::ffff:1.2.3.200"), true);
  assert.equal(has("::ffff:1.2.3.0/120", "1.2.3.200"), false);
  assert.equal(has("2001:db8::/33", "2001:db8:7fff::1"), true);
  assert.equal(has("2001:db8::/33", "2001:db8:8000::1"), false);
  assert.equal(has("1.2.3.4/32", "1.2.3.4"), true);
  assert.equal(has("1.2.3.4/32", "1.2.3.5"), false);
});

Deno.test("A range has the addresses that share its first bits", () => {
  const octet = fc.integer({ min: 0, max: 255 }), address = fc.tuple(octet, octet, octet, octet);
  const bits = (octets: readonly number[]) => octets.map((one) => one.toString(2).padStart(8, "0")).join("");
  fc.assert(fc.property(address, address, fc.integer({ min: 0, max: 32 }), (a, b, length) => {
    const expected = bits(a).slice(0, length) === bits(b).slice(0, length);
    assert.equal(has(`${a.join(".")}/${length}`, b.join(".")), expected);
  }));
});

Deno.test("parseAddress() takes and refuses what the identity cache's parser does, zones apart", () => {
  const character = fc.constantFrom(..."0123459afF.:::");
  const text = fc.oneof(
    fc.array(character, { maxLength: 20 }).map((all) => all.join("")),
    fc.ipV4(),
    fc.ipV6(),
  );
  const bytes = new Uint8Array(16);
  fc.assert(
    fc.property(text, (one) => {
      const parsed = parseAddress(one);
      assert.equal(typeof parsed !== "string", readAddress(one, bytes), one);
      if (typeof parsed !== "string") assert.deepEqual(parsed.words, words(one));
    }),
    { numRuns: 3000 },
  );
  assert.equal(typeof parseAddress("fe80::1%eth0"), "object");
  assert.equal(parseAddress("fe80::1%"), 'ParseAddr("fe80::1%"): zone must be a non-empty string');
});

Deno.test("parseRange() says what is wrong in Go's words", () => {
  const cases: [string, string][] = [
    ["1.2.3.4", "no '/'"],
    ["1.2.3/8", 'ParseAddr("1.2.3"): IPv4 address too short'],
    ["/8", 'ParseAddr(""): unable to parse IP'],
    ["fe80::1%eth0/64", "IPv6 zones cannot be present in a prefix"],
    ["1.2.3.4/", 'bad bits after slash: ""'],
    ["1.2.3.4/08", 'bad bits after slash: "08"'],
    ["1.2.3.4/+8", 'bad bits after slash: "+8"'],
    ["1.2.3.4/33", "prefix length out of range"],
    ["::/129", "prefix length out of range"],
    ["::/9223372036854775808", 'bad bits after slash: "9223372036854775808"'],
  ];
  for (const [text, message] of cases) assert.equal(parseRange(text), `netip.ParsePrefix("${text}"): ${message}`);
});

Deno.test("rangeCovers() wants a range inside, of the same family", () => {
  const covers = (a: string, b: string) => rangeCovers(parseRange(a) as AddressRange, parseRange(b) as AddressRange);
  assert.equal(covers("10.0.0.0/8", "10.1.0.0/16"), true);
  assert.equal(covers("10.0.0.0/8", "10.0.0.0/8"), true);
  assert.equal(covers("10.1.0.0/16", "10.0.0.0/8"), false);
  assert.equal(covers("0.0.0.0/0", "::/0"), false);
  assert.equal(covers("::/0", "2001:db8::/32"), true);
});

Deno.test("Addresses of any length take bounded time", () => {
  const start = performance.now();
  for (const text of ["1".repeat(1e6), "1.".repeat(5e5), ":".repeat(1e6), "1:".repeat(5e5), `::/${"9".repeat(1e6)}`]) {
    assert.equal(typeof parseAddress(text), "string");
    assert.equal(typeof parseRange(`${text}/8`), "string");
  }
  assert.ok(performance.now() - start < 15_000);
});
