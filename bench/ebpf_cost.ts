/**
 * What packetparser costs per packet, against `bpf/baseline.bpf.c`, which only parses, makes one LRU look-up and counts.
 *
 *     deno task bench:ebpf [ROUNDS]
 *
 * Every program runs the same packet of one connection by BPF_PROG_TEST_RUN, in short turns that alternate, so that a
 * noisy machine is noisy for all. The figure is the 5th percentile of the turns: what a turn costs when nothing
 * interrupts it. An empty program shows what the measuring itself costs.
 */
import { BpfObject } from "../ffi/bpf_object.ts";
import type { BpfProgram } from "../ffi/bpf_program.ts";
import { MappedRing } from "../ffi/mapped_ring.ts";
import { MappedPerf } from "../ffi/mapped_perf.ts";
import { IpProtocol, TcpFlag } from "../src/flow/record.ts";
import { enableProgramStats, parseProgram } from "./load/measure.ts";
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

/** One turn of a program, in nanoseconds per packet. */
type Turn = (program: BpfProgram, packet: Uint8Array) => number;

/** As the test run measured it: its loop around the program included. */
const byTestRun: Turn = (program, packet) => program.testRun({ data: packet, repeat: TURN }).durationNanos;

/** As `kernel.bpf_stats_enabled` measured it: the reading of its clock included. */
const byStatistics: Turn = (program, packet) => {
  const read = () => parseProgram(Deno.readTextFileSync(`/proc/self/fdinfo/${program.fd}`));
  const before = read();
  program.testRun({ data: packet, repeat: TURN });
  const after = read();
  return ((after?.nanoseconds ?? NaN) - (before?.nanoseconds ?? NaN)) / TURN;
};

/** Nanoseconds per packet of each program: the 5th percentile of `rounds` turns. `between` runs after each of them. */
function measure(programs: readonly BpfProgram[], packet: Uint8Array, turn: Turn, between: () => void): number[] {
  const turns = programs.map(() => [] as number[]);
  for (let round = 0; round < rounds; round++) {
    programs.forEach((program, index) => {
      turns[index].push(turn(program, packet));
      between();
    });
  }
  return turns.map((durations) => durations.sort((a, b) => a - b)[Math.floor(rounds / 20)]);
}

const rounds = Number(Deno.args[0] ?? 500);
using baseline = open("baseline.ring");
using coarse = open("packetparser.ring", { coarse_clock: 1 });
using exact = open("packetparser.ring");
using reporting = open("packetparser.ring", { coarse_clock: 1, report_interval_ns: 0 });
using ring = new MappedRing(reporting.map("EVENTS"));
using perf = open("packetparser.perf");
// Without rings every event would fail, and every packet would try again.
using _rings = new MappedPerf(perf.map("EVENTS"), 8);
const columns = {
  "empty": baseline.program("empty"),
  "baseline": baseline.program("baseline"),
  "packetparser": coarse.program("endpoint_ingress"),
  "without coarse clock": exact.program("endpoint_ingress"),
  "every packet reported": reporting.program("endpoint_ingress"),
  "perf variant": perf.program("endpoint_ingress"),
};

/** Prints a table and how IPv6 compares with IPv4. The cost of an empty program is no cost of ours: `net` leaves it out. */
function table(title: string, turn: Turn): void {
  console.log(`${title}\n`);
  console.log(["packet".padEnd(10), ...Object.keys(columns), "ratio", " net"].join("  "));
  const own: number[] = [];
  for (const [name, packet] of Object.entries(packets)) {
    const result = measure(Object.values(columns), packet, turn, () => void ring.drain(() => {}, Infinity));
    const [empty, base, ours] = result;
    own.push(ours);
    const cells = Object.keys(columns).map((column, index) => result[index].toFixed(0).padStart(column.length));
    const ratios = [ours / base, (ours - empty) / (base - empty)].map((ratio) => ratio.toFixed(2));
    console.log([name.padEnd(10), ...cells, ratios[0].padStart(5), ratios[1]].join("  "));
  }
  console.log(`\nIPv6 UDP costs ${(own[1] / own[0]).toFixed(2)} x IPv4 UDP\n`);
}

console.log(`ns per packet, 5th percentile of ${rounds} turns of ${TURN} packets\n`);
table("By BPF_PROG_TEST_RUN", byTestRun);
{
  using _statistics = enableProgramStats();
  table("By kernel.bpf_stats_enabled", byStatistics);
}
