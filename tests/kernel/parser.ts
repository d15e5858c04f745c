/** Loads packetparser and runs packets through its programs with BPF_PROG_TEST_RUN: no interface, no network. */
import { BpfObject } from "../../ffi/bpf_object.ts";
import type { BpfProgram } from "../../ffi/bpf_program.ts";
import { type BpfMap, possibleCpuCount } from "../../ffi/bpf_map.ts";
import { MappedPerf } from "../../ffi/mapped_perf.ts";
import { MappedRing } from "../../ffi/mapped_ring.ts";
import type { RecordRing } from "../../ffi/record_ring.ts";
import { interfaceIndex, onlineCpuCount } from "../../ffi/system.ts";
import { attachLegacy, attachTcx, type TcDirection, tcxSupported } from "../../ffi/tc.ts";
import { type Event, readEvent } from "./event.ts";

/** Both variants of the programs: every test runs on both. */
export const VARIANTS = ["ring", "perf"] as const;
export type Variant = typeof VARIANTS[number];

export type ProgramName =
  | "endpoint_ingress"
  | "endpoint_egress"
  | "host_ingress"
  | "host_egress"
  | "host_ingress_l3"
  | "host_egress_l3";

export interface ParserOptions {
  /** Values of `bpf/knobs.h`. */
  readonly knobs?: Readonly<Record<string, number | bigint>>;
  /** Bytes of the ring, or of each CPU's perf ring. Default 256 KiB. */
  readonly ringBytes?: number;
  readonly conntrackEntries?: number;
}

/** What the programs counted, by the names of `enum stat` without prefix, over all CPUs. */
export type Stats = Readonly<Record<string, number>>;

/** The programs in the kernel, and what comes out of them. */
export interface Parser extends Disposable {
  readonly object: BpfObject;
  readonly conntrack: BpfMap;
  /** Runs a packet and returns the events that were in the ring afterwards. Checks the verdict and that the packet stays as it was. */
  run(program: ProgramName, packet: Uint8Array, repeat?: number): Event[];
  /** The same without reading the ring. */
  send(program: ProgramName, packet: Uint8Array, repeat?: number): void;
  program(name: ProgramName): BpfProgram;
  /** Takes the events out of the ring. */
  drain(): Event[];
  stats(): Stats;
  /** Keys and values of CONNTRACK. */
  entries(): { key: DataView; value: DataView }[];
  /** Empties CONNTRACK, so that the next packet is the first of its connection. */
  forget(): void;
}

const PAGE = 4096;
const TC_ACT_UNSPEC = -1;

/** The compiled object; `deno task build:ebpf` makes it. */
export function objectBytes(variant: Variant): Uint8Array {
  return Deno.readFileSync(new URL(`../../bpf/build/packetparser.${variant}.bpf.o`, import.meta.url));
}

export function openParser(variant: Variant, options: ParserOptions = {}): Parser {
  using stack = new DisposableStack();
  const object = stack.use(BpfObject.open(objectBytes(variant), "packetparser"));
  const ringBytes = options.ringBytes ?? 1 << 18;
  if (variant === "ring") object.setMaxEntries("EVENTS", ringBytes);
  object.setMaxEntries("CONNTRACK", options.conntrackEntries ?? 4096);
  for (const [name, value] of Object.entries(options.knobs ?? {})) object.setConstant(name, value);
  object.load();
  const events = object.map("EVENTS");
  const ring: RecordRing = variant === "ring"
    ? stack.use(new MappedRing(events))
    : stack.use(new MappedPerf(events, ringBytes / PAGE));
  const owned = stack.move();
  return parserOf(object, ring, owned);
}

function parserOf(object: BpfObject, ring: RecordRing, owned: DisposableStack): Parser {
  const programs = new Map<ProgramName, BpfProgram>();
  const conntrack = object.map("CONNTRACK");
  const drain = () => {
    const events: Event[] = [];
    ring.drain((u32, at, length) => void events.push(readEvent(u32, at, length)), Infinity);
    return events;
  };
  const program = (name: ProgramName) => {
    const known = programs.get(name) ?? object.program(name);
    programs.set(name, known);
    return known;
  };
  const send = (name: ProgramName, packet: Uint8Array, repeat = 1) => {
    const result = program(name).testRun({ data: packet, repeat });
    if (result.returnValue !== TC_ACT_UNSPEC) throw new Error(`${name} returned ${result.returnValue}, expected -1`);
    if (!result.data.every((byte, index) => byte === packet[index]) || result.data.length !== packet.length) {
      throw new Error(`${name} changed the packet`);
    }
  };
  return {
    object,
    conntrack,
    send,
    program,
    drain,
    run(name, packet, repeat) {
      send(name, packet, repeat);
      return drain();
    },
    stats: () => readStats(object),
    entries: () => readEntries(conntrack),
    forget: () => readEntries(conntrack).forEach(({ key }) => void conntrack.delete(new Uint8Array(key.buffer))),
    [Symbol.dispose]: () => owned.dispose(),
  };
}

function readStats(object: BpfObject): Stats {
  const map = object.map("STATS");
  const names = object.btf.enumeration("stat");
  if (names === undefined) throw new Error("Cannot find enum stat in the object's BTF");
  const values = new Uint8Array(map.bufferSize);
  map.lookup(new Uint8Array(4), values);
  const view = new BigUint64Array(values.buffer);
  const perCpu = map.valueSize / 8;
  const stats: Record<string, number> = {};
  for (const [name, index] of names) {
    if (name === "STAT_COUNT") continue;
    let sum = 0n;
    for (let at = index; at < view.length; at += perCpu) sum += view[at];
    stats[name.slice("STAT_".length)] = Number(sum);
  }
  return stats;
}

function readEntries(map: BpfMap): { key: DataView; value: DataView }[] {
  const entries: { key: DataView; value: DataView }[] = [];
  let previous: Uint8Array | null = null;
  for (;;) {
    const key: Uint8Array<ArrayBuffer> = new Uint8Array(map.keySize);
    if (!map.nextKey(previous, key)) return entries;
    const value = new Uint8Array(map.bufferSize);
    if (map.lookup(key, value)) entries.push({ key: new DataView(key.buffer), value: new DataView(value.buffer) });
    previous = key;
  }
}

/** Attaches a program to a device of this thread's network namespace, in the way that the kernel has. */
export function attach(parser: Parser, name: ProgramName, device: string, direction: TcDirection): Disposable {
  const bpf = parser.program(name);
  const ifindex = interfaceIndex(device);
  if (tcxSupported(bpf)) return attachTcx(bpf, ifindex, direction);
  return attachLegacy(bpf, ifindex, direction, { handle: 1, priority: 1 });
}

/** Opens the libraries before the tests, which would otherwise be taken for the ones that leak them. */
export function openLibraries(): void {
  if (Deno.uid() !== 0) return;
  possibleCpuCount();
  onlineCpuCount();
}

/** Held-back packets of all entries: what conntrack owes. */
export function heldPackets(entries: readonly { value: DataView }[]): number {
  let sum = 0n;
  for (const { value } of entries) {
    for (const side of [16, 72]) sum += value.getBigInt64(side, true) + (1n << 35n) >> 36n;
  }
  return Number(sum);
}
