import assert from "node:assert/strict";
import {
  authentication,
  type Bytes,
  ethernet,
  EtherType,
  extension,
  filler,
  fragment,
  icmp,
  ipv4,
  ipv6,
  sctp,
  tcp,
  timestampOption,
  udp,
} from "./packets.ts";

function hex(bytes: Bytes): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

const cases: readonly [name: string, packet: Bytes, bytes: string][] = [
  ["udp()", udp({ sourcePort: 0x1234, destinationPort: 53 }, filler(2)), "1234 0035 000a 0000 a5a5"],
  ["sctp()", sctp({ sourcePort: 1, destinationPort: 2 }), "0001 0002 00000001 00000000"],
  ["icmp()", icmp({ type: 8, code: 1, id: 0x0102, sequence: 3 }), "08 01 0000 0102 0003"],
  [
    "tcp() with every flag and an option",
    tcp({
      sourcePort: 1,
      destinationPort: 2,
      seq: 3,
      ack: 0xfffffffe,
      flags: 0x1ff,
      options: Uint8Array.of(1, 1, 1, 0),
    }),
    "0001 0002 00000003 fffffffe 61ff 0000 0000 0000 01010100",
  ],
  ["tcp() with a wrong length", tcp({ flags: 2, headerWords: 15 }).slice(12, 14), "f002"],
  ["timestampOption()", timestampOption(1, 0xffffffff), "080a 00000001 ffffffff"],
  [
    "ipv4()",
    ipv4({ protocol: 17, source: "10.0.0.1", destination: "10.0.0.2" }, filler(1)),
    "45 00 0015 0000 0000 40 11 0000 0a000001 0a000002 a5",
  ],
  [
    "ipv4() with options in a fragment",
    ipv4({ protocol: 6, options: Uint8Array.of(1, 1, 1, 0), fragmentOffset: 0x1fff, moreFragments: true }, filler(0)),
    "46 00 0018 0000 3fff 40 06 0000 0a000001 0a000002 01010100",
  ],
  [
    "ipv4() with wrong fields",
    ipv4({ protocol: 6, version: 5, headerWords: 4, totalLength: 7 }, filler(0)).slice(0, 4),
    "54 00 0007",
  ],
  [
    "ipv6()",
    ipv6({ nextHeader: 58, source: "::1", destination: "2001:db8::2" }, filler(1)),
    "60000000 0001 3a 40 00000000000000000000000000000001 20010db8000000000000000000000002 a5",
  ],
  ["extension()", extension(17, filler(0), 1), "11 01 a5a5a5a5a5a5 a5a5a5a5a5a5a5a5"],
  ["authentication()", authentication(6, filler(0), 1), "06 01 a5a5a5a5a5a5 a5a5a5a5"],
  ["fragment()", fragment(17, 3, true, filler(0)), "11 00 0019 a5a5a5a5"],
  [
    "ethernet() of IPv6 in two VLANs",
    ethernet({ vlans: [{ id: 7, type: EtherType.QINQ }, { id: 100, priority: 7 }] }, Uint8Array.of(0x60)),
    "020000000002 020000000001 88a8 0007 8100 e064 86dd 60",
  ],
  [
    "ethernet() of IPv4",
    ethernet({ source: "0a:0b:0c:0d:0e:0f" }, Uint8Array.of(0x45)),
    "020000000002 0a0b0c0d0e0f 0800 45",
  ],
];

for (const [name, packet, bytes] of cases) {
  Deno.test(`${name} gives the bytes of the standard`, () => assert.equal(hex(packet), bytes.replaceAll(" ", "")));
}

Deno.test("addresses that are none are refused", () => {
  assert.throws(() => ipv4({ protocol: 1, source: "10.0.0.256" }, filler(0)), SyntaxError);
});
