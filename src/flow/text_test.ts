import fc from "fast-check";
import ipaddr from "ipaddr.js";
import assert from "node:assert/strict";
import { formatAddress } from "../identity/address.ts";
import { v4 } from "./test_support.ts";
import { addressText, macText, MAX_ADDRESS_TEXT, writeAddress } from "./text.ts";

function groups(...values: number[]): Uint8Array {
  return Uint8Array.from(values.flatMap((value) => [value >> 8, value & 255]));
}

Deno.test("addressText() writes IPv4 as a dotted quad", () => {
  for (const [a, b, c, d] of [[0, 0, 0, 0], [255, 255, 255, 255], [10, 9, 100, 99], [192, 0, 2, 1]]) {
    assert.equal(addressText(Uint8Array.from(v4(a, b, c, d)), 0, 4), `${a}.${b}.${c}.${d}`);
  }
});

Deno.test("addressText() writes IPv6 as RFC 5952 says", () => {
  const cases: [Uint8Array, string][] = [
    [groups(0, 0, 0, 0, 0, 0, 0, 0), "::"],
    [groups(0, 0, 0, 0, 0, 0, 0, 1), "::1"],
    [groups(1, 0, 0, 0, 0, 0, 0, 0), "1::"],
    [groups(0x2001, 0xdb8, 0, 0, 1, 0, 0, 1), "2001:db8::1:0:0:1"],
    [groups(0x2001, 0xdb8, 0, 1, 1, 1, 1, 1), "2001:db8:0:1:1:1:1:1"],
    [groups(0x2001, 0, 0, 1, 0, 0, 0, 1), "2001:0:0:1::1"],
    [groups(0xfe80, 0, 0, 0, 0xabc, 0xf, 0x10, 0x100), "fe80::abc:f:10:100"],
    [groups(0, 0, 0, 0, 0, 0xffff, 0xc000, 0x201), "::ffff:192.0.2.1"],
    [groups(0, 0, 0, 0, 0, 0xfffe, 0xc000, 0x201), "::fffe:c000:201"],
    [groups(1, 2, 3, 4, 5, 6, 7, 0), "1:2:3:4:5:6:7:0"],
    [groups(0, 2, 3, 4, 5, 6, 0, 0), "0:2:3:4:5:6::"],
  ];
  for (const [bytes, text] of cases) assert.equal(addressText(bytes, 0, 6), text);
});

Deno.test("addressText() agrees with the identity cache and with ipaddr.js on any address", () => {
  const group = fc.oneof({ weight: 2, arbitrary: fc.constant(0) }, { weight: 1, arbitrary: fc.nat(0xffff) });
  fc.assert(fc.property(fc.array(group, { minLength: 8, maxLength: 8 }), (values) => {
    const bytes = groups(...values);
    const text = addressText(bytes, 0, 6);
    assert.deepEqual(ipaddr.parse(text).toByteArray(), [...bytes]);
    if (!text.includes(".")) assert.equal(text, formatAddress(bytes));
  }));
});

Deno.test("writeAddress() touches no more than MAX_ADDRESS_TEXT bytes", () => {
  const longest = [v4(255, 255, 255, 255), [...groups(...Array(8).fill(0xffff))], v4(1, 1, 1, 1)];
  for (const bytes of longest) {
    for (const version of [4, 6]) {
      const out = new Uint8Array(MAX_ADDRESS_TEXT + 8).fill(0xee);
      const end = writeAddress(new DataView(out.buffer), 0, Uint8Array.from(bytes), 0, version);
      assert.ok(end <= 39);
      assert.ok(out.subarray(MAX_ADDRESS_TEXT).every((byte) => byte === 0xee));
    }
  }
});

Deno.test("macText() writes lower-case pairs", () => {
  assert.equal(macText(Uint8Array.of(9, 0, 0x1a, 0xff, 0x0b, 0xc0, 0xde), 1), "00:1a:ff:0b:c0:de");
});
