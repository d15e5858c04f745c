import assert from "node:assert/strict";
import { Ignored, parsePacket } from "./reference_parser.ts";

/** Frames as bytes, not from the builder: the reference must not share its mistakes. */
function bytes(text: string): Uint8Array {
  return Uint8Array.from(text.replaceAll(/\s/g, "").match(/../g) ?? [], (pair) => parseInt(pair, 16));
}

const ETHERNET = "00005e000101 00005e000102";

Deno.test("parsePacket() reads a SYN with timestamps in a VLAN", () => {
  const fields = parsePacket(
    bytes(`${ETHERNET} 8100 2064 0800
      4500003c 1c464000 40060000 c0000201 c6336401
      d431 01bb 12345678 00000000 a002 7210 0000 0000 020405b4 0402 080a 000000ff 00000000 01 030307`),
    true,
  );
  assert.deepEqual(fields, {
    ...{ src_addr: "192.0.2.1", dst_addr: "198.51.100.1", bytes: 78, src_port: 54321, dst_port: 443, tcp_flags: 2 },
    ...{ vlan_id: 100, protocol: 6, ip_version: 4, icmp_type: 0, icmp_code: 0, event_flags: 3 },
    ...{ tcp_seq: 0x12345678, tcp_ack: 0, tcp_tsval: 255, tcp_tsecr: 0 },
  });
});

Deno.test("parsePacket() reads a multicast listener report behind a hop-by-hop header, without a link header", () => {
  const fields = parsePacket(
    bytes(`60000000 0024 00 01 fe800000000000000000000000000001 ff020000000000000000000000000016
      3a 00 0502 0000 0100 8f 00 0000 0000 0001 04000000 ff0200000000000000000000000000fb`),
    false,
  );
  assert.ok(!(fields instanceof Ignored));
  assert.deepEqual(
    [fields.src_addr, fields.dst_addr, fields.protocol, fields.icmp_type, fields.icmp_code, fields.event_flags],
    ["fe80::1", "ff02::16", 58, 143, 0, 0],
  );
});

for (
  const [name, frame, reason] of [
    ["an ARP request", `${ETHERNET} 0806 0001 0800 0604 0001`, "NOT_IP"],
    ["no more than MAC addresses", ETHERNET, "L2_TRUNCATED"],
    ["an IPv4 header of 16 bytes", `${ETHERNET} 0800 44000010 00000000 40110000 c0000201 c6336401`, "BAD_HEADER"],
    ["an IPv4 packet that was cut", `${ETHERNET} 0800 45000021 00000000 40110000 c0000201 c6336401`, "L3_TRUNCATED"],
    ["half a UDP header", `${ETHERNET} 0800 45000018 00000000 40110000 c0000201 c6336401 00350035`, "L4_TRUNCATED"],
  ] as const
) {
  Deno.test(`parsePacket() ignores ${name}`, () => {
    const result = parsePacket(bytes(frame), true);
    assert.ok(result instanceof Ignored);
    assert.equal(result.reason, reason);
  });
}
