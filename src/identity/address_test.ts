import assert from "node:assert/strict";
import fc from "fast-check";
import ipaddr from "ipaddr.js";
import { formatAddress, formatPrefix, parseAddress, parsePrefix } from "./address.ts";

function roundTrip(text: string): string | undefined {
  const prefix = parsePrefix(text);
  return prefix && formatPrefix(prefix);
}

Deno.test("parsePrefix() reads addresses and CIDRs into their canonical form", () => {
  const cases: [text: string, canonical: string | undefined][] = [
    ["10.0.0.1", "10.0.0.1"],
    ["255.255.255.255", "255.255.255.255"],
    ["10.1.2.3/8", "10.0.0.0/8"],
    ["10.1.2.3/32", "10.1.2.3"],
    ["0.0.0.0/0", "0.0.0.0/0"],
    ["::", "::"],
    ["::1", "::1"],
    ["1::", "1::"],
    ["2001:DB8:0:0:1:0:0:1", "2001:db8::1:0:0:1"],
    ["2001:db8:0:1:1:1:1:1", "2001:db8:0:1:1:1:1:1"],
    ["fd00::1:2/64", "fd00::/64"],
    ["fd00::/9", "fd00::/9"],
    ["::/0", "::/0"],
    ["::ffff:10.0.0.1", "10.0.0.1"],
    ["::ffff:a00:1/120", "10.0.0.0/24"],
    ["::ffff:0:0/95", "::fffe:0:0/95"],
    ["1:2:3:4:5:6:1.2.3.4", "1:2:3:4:5:6:102:304"],
    ["", undefined],
    ["10.0.0", undefined],
    ["10.0.0.256", undefined],
    ["10.0.0.01", undefined],
    ["10.0.0.1.", undefined],
    ["10.0.0.1.2", undefined],
    ["10..0.1", undefined],
    [" 10.0.0.1", undefined],
    ["10.0.0.1/33", undefined],
    ["10.0.0.1/", undefined],
    ["10.0.0.1/08", undefined],
    ["10.0.0.1/-1", undefined],
    [":", undefined],
    [":::", undefined],
    ["1::2::3", undefined],
    ["1:2:3:4:5:6:7", undefined],
    ["1:2:3:4:5:6:7:8:9", undefined],
    ["1:2:3:4:5:6:7:8::", undefined],
    ["1:2:3:4:5:6:7:", undefined],
    ["12345::", undefined],
    ["fe80::1%eth0", undefined],
    ["1:2:3:4:5:6:7:1.2.3.4", undefined],
    ["::1.2.3", undefined],
    ["fd00::/129", undefined],
    ["pod-1", undefined],
  ];
  for (const [text, canonical] of cases) assert.equal(roundTrip(text), canonical, `parsePrefix("${text}")`);
});

Deno.test("parseAddress() agrees with the URL parser and ipaddr.js on addresses and on noise", () => {
  const bytes = new Uint8Array(16);
  const noise = fc.array(fc.constantFrom("0", "1", "f", "10", "255", ":", "::", ".", "ffff"), { maxLength: 12 })
    .map((parts) => parts.join(""));
  fc.assert(
    fc.property(fc.oneof(fc.ipV4(), fc.ipV6(), noise), (text) => {
      const expected = oracle(text);
      assert.equal(parseAddress(text, bytes), expected !== undefined, text);
      if (expected !== undefined) assert.deepEqual([...bytes], expected, text);
    }),
    { numRuns: 2000 },
  );
});

/** The URL parser knows IPv6 with an embedded quad, ipaddr.js turns its plain form into bytes. */
function oracle(text: string): number[] | undefined {
  if (!text.includes(":")) {
    return ipaddr.IPv4.isValidFourPartDecimal(text)
      ? ipaddr.IPv4.parse(text).toIPv4MappedAddress().toByteArray()
      : undefined;
  }
  if (!URL.canParse(`http://[${text}]/`)) return undefined;
  return ipaddr.IPv6.parse(new URL(`http://[${text}]/`).hostname.slice(1, -1)).toByteArray();
}

Deno.test("formatAddress() and parseAddress() are inverse for any 16 bytes", () => {
  const bytes = new Uint8Array(16);
  const sparse = fc.array(fc.constantFrom(0, 0, 0, 1, 255), { minLength: 16, maxLength: 16 });
  fc.assert(
    fc.property(
      fc.oneof(sparse.map((list) => Uint8Array.from(list)), fc.uint8Array({ minLength: 16, maxLength: 16 })),
      (
        given,
      ) => {
        const text = formatAddress(given);
        assert.ok(parseAddress(text, bytes), text);
        assert.deepEqual(bytes, given, text);
        assert.equal(ipaddr.process(text).toByteArray().length, text.includes(":") ? 16 : 4);
      },
    ),
  );
});
