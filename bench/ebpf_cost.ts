/**
 * What packetparser costs per packet, against `bpf/baseline.bpf.c`, which only parses, makes one LRU look-up and counts.
 *
 *     deno run -A bench/ebpf_cost.ts [ROUNDS]
 *
 * Every program runs the same packet of one connection by BPF_PROG_TEST_RUN, in short turns that alternate, so that a
 * noisy machine is noisy for all. The figure is the 5th percentile of the turns: what a turn costs when nothing
 * interrupts it. An empty program shows what the test run itself costs; it is taken off for the ratio, as
 * `kernel.bpf_stats_enabled` would not count it either.
 */
import { BpfObject } from "../ffi/bpf_object.ts";
import type { BpfProgram } from "../ffi/bpf_program.ts";
import { MappedPerf } from "../ffi/mapped_perf.ts";
import { IpProtocol, TcpFlag } from "../src/flow/record.ts";
import { concat, ethernet, filler, ipv4, ipv6, tcp, timestampOption, udp } from "../tests/packets.ts";

/** Packets of one turn: some 0.3 ms, shorter than a time slice. */
const TURN = 4000;

const stamps = concat(Uint8Array.of(1, 1), timestampOption(1, 2));
const packets = {
  "IPv4 UDP": ethernet({}, ipv4({ protocol: IpProtocol.UDP }, udp({}, filler(18)))),
  "IPv6 UDP": ethernet({}, ipv6({ nextHeader: IpProtocol.UDP }, udp({}, filler(18)))),
  "IPv4 TCP": ethernet(
    {},
    ipv4({ protocol: IpProtocol.TCP }, tcp({ flags: TcpFlag.ACK, options: stamps }, filler(18))),
  ),
};

function open(name: string, knobs: Readonly<Record<string, number>> = {}): BpfObject {
  const object = BpfObject.open(Deno.readFileSync(new URL(`../bpf/build/${name}.bpf.o`, import.meta.url)), name);
  for (const [knob, value] of Object.entries(knobs)) object.setConstant(knob, value);
  return object.load();
}

/** Nanoseconds per packet of each program: the 5th percentile of `rounds` turns. */
function measure(programs: readonly BpfProgram[], packet: Uint8Array, rounds: number): number[] {
  const turns = programs.map(() => [] as number[]);
  for (let round = 0; round < rounds; round++) {
    programs.forEach((program, index) => {
      turns[index].push(program.testRun({ data: packet, repeat: TURN }).durationNanos);
    });
  }
  return turns.map((durations) => durations.sort((a, b) => a - b)[Math.floor(rounds / 20)]);
}

const rounds = Number(Deno.args[0] ?? 1000);
using baseline = open("baseline.ring");
using coarse = open("packetparser.ring", { coarse_clock: 1 });
using exact = open("packetparser.ring");
using perf = open("packetparser.perf");
// Without rings every event would fail, and every packet would try again.
using _rings = new MappedPerf(perf.map("EVENTS"), 8);
const columns = {
  "empty": baseline.program("empty"),
  "baseline": baseline.program("baseline"),
  "packetparser": coarse.program("endpoint_ingress"),
  "without coarse clock": exact.program("endpoint_ingress"),
  "perf variant": perf.program("endpoint_ingress"),
};

console.log(`ns per packet, ${rounds} turns of ${TURN}\n`);
console.log(["packet".padEnd(10), ...Object.keys(columns), "ratio"].join("  "));
const own: number[] = [];
for (const [name, packet] of Object.entries(packets)) {
  const result = measure(Object.values(columns), packet, rounds);
  const ratio = (result[2] - result[0]) / (result[1] - result[0]);
  own.push(result[2] - result[0]);
  const cells = Object.keys(columns).map((column, index) => String(result[index]).padStart(column.length));
  console.log([name.padEnd(10), ...cells, ratio.toFixed(2).padStart(5)].join("  "));
}
console.log(`\nIPv6 UDP costs ${(own[1] / own[0]).toFixed(2)} x IPv4 UDP`);
