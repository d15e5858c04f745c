/**
 * Random and mutated packets through the programs: each is parsed as the reference parser says, or counted under the same reason.
 *
 * RETINA_FUZZ_PACKETS sets their number (100,000), RETINA_FUZZ_SEED (a number or `random`) chooses others; a failure prints the packet.
 */
import assert from "node:assert/strict";
import { Errno } from "../../ffi/errno.ts";
import { LibbpfError } from "../../ffi/error.ts";
import { EventFlag } from "../../src/flow/record.ts";
import { ebpf, root, testWith } from "../lab/need.ts";
import type { Bytes } from "../packets.ts";
import type { Event } from "./event.ts";
import { mutate, random } from "./mutate.ts";
import { ignoredCases, packetCases } from "./packet_cases.ts";
import { heldPackets, openLibraries, openParser, type Parser, VARIANTS } from "./parser.ts";
import { Ignored, type PacketFields, parsePacket } from "./reference_parser.ts";

const TOTAL = Number(Deno.env.get("RETINA_FUZZ_PACKETS") ?? 100_000);
const SEED = seed(Deno.env.get("RETINA_FUZZ_SEED") ?? "20240229");
const REASONS = ["NOT_IP", "L2_TRUNCATED", "L3_TRUNCATED", "L4_TRUNCATED", "BAD_HEADER", "TOO_MANY_HEADERS"];

openLibraries();

function seed(text: string): number {
  return text === "random" ? crypto.getRandomValues(new Uint32Array(1))[0] : Number(text);
}

function hex(packet: Uint8Array): string {
  return Array.from(packet, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** Compares the fields of the packet, one by one: a hundred thousand deepEqual would take most of the time. */
function check(packet: Bytes, events: readonly Event[], expected: PacketFields | Ignored): void {
  if (expected instanceof Ignored) {
    if (events.length > 0) assert.fail(`${hex(packet)} gave an event, expected ${expected.reason}`);
    return;
  }
  if (events.length !== 1) {
    assert.fail(`${hex(packet)} gave ${events.length} events, expected ${JSON.stringify(expected)}`);
  }
  // Whether a connection ended is conntrack's to say.
  const event = { ...events[0], event_flags: events[0].event_flags & ~EventFlag.CLOSED };
  for (const name of Object.keys(expected) as (keyof PacketFields)[]) {
    if (event[name] !== expected[name]) {
      assert.fail(`${hex(packet)} gave ${name} ${event[name]}, expected ${expected[name]}`);
    }
  }
}

/** Events of one packet; undefined when the kernel refuses to make such a packet. */
function runOne(parser: Parser, program: "host_ingress" | "host_ingress_l3", packet: Bytes): Event[] | undefined {
  try {
    return parser.run(program, packet);
  } catch (error) {
    if (error instanceof LibbpfError && error.errno === Errno.EINVAL) return undefined;
    throw error;
  }
}

for (const variant of VARIANTS) {
  testWith([root, ebpf], `${variant}: fuzz: packets are parsed as the reference parser says`, () => {
    // The perf variant has the same source: a part of the packets is enough to try its machine code.
    const packetCount = variant === "ring" ? TOTAL : Math.ceil(TOTAL / 5);
    // Every packet is reported at once, so that the fields of each can be compared.
    using parser = openParser(variant, { knobs: { report_interval_ns: 0 } });
    const next = random(SEED);
    const pool = [...packetCases, ...ignoredCases].map(({ packet }) => packet);
    const counted = Object.fromEntries(REASONS.map((reason) => [reason, 0]));
    let refused = 0, reported = 0;
    for (let index = 0; index < packetCount; index++) {
      const hasEthernet = next(4) !== 0;
      const mutated = mutate(pool, next);
      const packet = hasEthernet || mutated.length < 29 ? mutated : mutated.slice(14);
      const events = runOne(parser, hasEthernet ? "host_ingress" : "host_ingress_l3", packet);
      if (events === undefined) {
        refused++;
        continue;
      }
      const expected = parsePacket(packet, hasEthernet);
      check(packet, events, expected);
      if (expected instanceof Ignored) counted[expected.reason]++;
      else reported++;
    }
    const stats = parser.stats();
    assert.deepEqual(Object.fromEntries(REASONS.map((reason) => [reason, stats[reason]])), counted, `seed ${SEED}`);
    assert.deepEqual([stats.PACKETS, stats.EVENTS, stats.LOST], [packetCount - refused, reported, 0]);
    assert.equal(heldPackets(parser.entries()), 0);
    assert.ok(refused < packetCount / 10, `${refused} of ${packetCount} packets could not be made`);
    for (const reason of REASONS) assert.ok(counted[reason] > 0, `no packet was ignored for ${reason}`);
    assert.ok(reported > packetCount / 10, `${reported} of ${packetCount} packets were reported`);
    console.log(
      `${variant}: seed ${SEED}, ${reported} reported, ${refused} refused by the kernel, ${JSON.stringify(counted)}`,
    );
  }, { timeoutMs: 900_000 });
}
