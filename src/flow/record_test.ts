import assert from "node:assert/strict";
import { BpfObject } from "../../ffi/bpf_object.ts";
import { possibleCpuCount } from "../../ffi/bpf_map.ts";
import { ebpf, type Need, testWith } from "../../tests/lab/need.ts";
import {
  ETHERNET_SIZE,
  EVENT,
  EVENT_SIZE,
  EventFlag,
  ObservationPoint,
  ReplyState,
  SLOT,
  SLOT_SIZE,
  TcpFlag,
  TrafficDirection,
} from "./record.ts";

const libbpf: Need = () => {
  try {
    // Also keeps the library open, so that no test is taken for the one that leaks it.
    return void possibleCpuCount();
  } catch (error) {
    return `machine: ${error instanceof Error ? error.message : error}`;
  }
};

function openObject(variant: string): BpfObject {
  const url = new URL(`../../bpf/build/packetparser.${variant}.bpf.o`, import.meta.url);
  return BpfObject.open(Deno.readFileSync(url), "packetparser");
}

for (const variant of ["ring", "perf"]) {
  testWith([ebpf, libbpf], `EVENT has the offsets of struct packet_event in the ${variant} object`, () => {
    using object = openObject(variant);
    const struct = object.btf.struct("packet_event");
    assert.ok(struct);
    assert.equal(struct.size, EVENT_SIZE);
    assert.deepEqual(Object.fromEntries([...struct.fields].map(([name, { offset }]) => [name, offset])), EVENT);
    const tail = object.btf.struct("packet_ethernet");
    assert.equal(tail?.size, ETHERNET_SIZE);
    assert.deepEqual([...tail.fields].map(([name, field]) => [name, field.offset, field.size]), [
      ["destination", 0, 6],
      ["source", 6, 6],
      ["reserved", 12, 4],
    ]);
  });

  testWith([ebpf, libbpf], `the numbers of the ${variant} object's enums are those of the record`, () => {
    using object = openObject(variant);
    const enums: [name: string, prefix: string, values: Record<string, number>][] = [
      ["observation_point", "OBS_", ObservationPoint],
      ["traffic_direction", "DIR_", TrafficDirection],
      ["reply_state", "REPLY_", ReplyState],
      ["tcp_flag", "TCP_", TcpFlag],
      ["packet_event_flag", "EVENT_", EventFlag],
    ];
    for (const [name, prefix, values] of enums) {
      const found = object.btf.enumeration(name) ?? new Map<string, number>();
      assert.deepEqual(
        Object.fromEntries([...found].map(([key, value]) => [key.slice(prefix.length), value])),
        values,
        `enum ${name}`,
      );
    }
  });
}

Deno.test("SLOT begins behind the event and fits into its size", () => {
  const offsets = Object.values(SLOT);
  assert.equal(Math.min(...offsets), EVENT_SIZE);
  assert.ok(Math.max(...offsets) + 2 <= SLOT_SIZE);
  assert.equal(SLOT_SIZE % 8, 0);
});
