import assert from "node:assert/strict";
import { EVENT, EVENT_SIZE } from "../../../src/flow/record.ts";
import { readPacket } from "./packet.ts";

Deno.test("readPacket() reads the fields at their offsets, anywhere in memory", () => {
  const at = 24;
  const words = new Uint32Array((at + EVENT_SIZE) / 4);
  const view = new DataView(words.buffer, at);
  view.setBigUint64(EVENT.ts_ns, 2n ** 60n + 1n, true);
  view.setUint16(EVENT.src_addr + 10, 0xffff);
  view.setUint32(EVENT.src_addr + 12, 0x0af4000a);
  view.setUint16(EVENT.dst_addr + 10, 0xffff);
  view.setUint32(EVENT.dst_addr + 12, 0x0af4000b);
  view.setUint8(EVENT.ip_version, 4);
  view.setUint32(EVENT.bytes, 142, true);
  view.setUint16(EVENT.dst_port, 443, true);
  view.setUint16(EVENT.tcp_flags, 0x102, true);
  view.setBigUint64(EVENT.total_bytes_rx, 5_000_000_000n, true);
  view.setUint32(EVENT.held_packets, 7, true);
  view.setUint8(EVENT.held_fin, 1);
  const packet = readPacket(words, at, EVENT_SIZE);
  assert.equal(packet.nanos, 2n ** 60n + 1n);
  assert.deepEqual([packet.source, packet.destination], ["10.244.0.10", "10.244.0.11"]);
  assert.deepEqual([packet.bytes, packet.destinationPort, packet.tcpFlags], [142, 443, 0x102]);
  assert.deepEqual(packet.totalBytes, { tx: 0, rx: 5_000_000_000 });
  assert.deepEqual([packet.held.packets, packet.held.fin, packet.recordLength], [7, 1, EVENT_SIZE]);
});

Deno.test("readPacket() reads IPv6 addresses", () => {
  const words = new Uint32Array(EVENT_SIZE / 4);
  const view = new DataView(words.buffer);
  view.setUint8(EVENT.ip_version, 6);
  view.setUint16(EVENT.src_addr, 0xfd00);
  view.setUint8(EVENT.src_addr + 15, 1);
  const packet = readPacket(words, 0, EVENT_SIZE);
  assert.deepEqual([packet.source, packet.destination, packet.ipVersion], ["fd00::1", "::", 6]);
});

Deno.test("readPacket() refuses a record that is too short", () => {
  assert.throws(() => readPacket(new Uint32Array(64), 0, EVENT_SIZE - 1), RangeError);
});
