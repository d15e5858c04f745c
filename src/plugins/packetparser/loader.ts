import { BpfObject } from "../../../ffi/bpf_object.ts";
import { MapType, mapTypeSupported } from "../../../ffi/bpf_map.ts";
import { LibbpfError } from "../../../ffi/error.ts";
import { MappedPerf } from "../../../ffi/mapped_perf.ts";
import { MappedRing } from "../../../ffi/mapped_ring.ts";
import { Clock, pageSize } from "../../../ffi/system.ts";
import type { BpfProgram } from "../../../ffi/bpf_program.ts";
import type { BpfMap } from "../../../ffi/bpf_map.ts";
import type { RecordRing } from "../../../ffi/record_ring.ts";
import { checkSizes, type EventTransport, type PacketparserOptions } from "./options.ts";

/** Where the build puts the objects; the same place in the file system of a compiled executable. */
const OBJECT_DIRECTORY = `${import.meta.dirname}/../../../bpf/build`;

/** The programs in the kernel and the ring that they write. */
export interface LoadedPrograms extends Disposable {
  readonly transport: "ring" | "perf";
  readonly ring: RecordRing;
  readonly conntrack: BpfMap;
  readonly stats: BpfMap;
  /** The clock of the events' time stamps. */
  readonly clock: Clock;
  /** Events that the perf rings reported as lost, by CPU; empty for a ring buffer. */
  readonly perfLost: () => ReadonlyMap<number, number>;
  /**
   * A program by name. Those that the options ask for are loaded from the start, the others at the first call.
   *
   * @throws {LibbpfError} when the kernel refuses to load it.
   */
  program(name: string): BpfProgram;
  /** Any program that is loaded: what a kernel can do is found out with it. */
  readonly loaded: BpfProgram;
}

/** Maps that all programs share, by name; SCRATCH is there in the perf variant alone. */
const SHARED = ["EVENTS", "CONNTRACK", "STATS", "SCRATCH"];

/**
 * Loads the programs of the transport that was asked for and maps their ring. Nothing is attached yet.
 *
 * @throws {RangeError} for impossible sizes.
 * @throws {LibbpfError} when the kernel refuses, with the verifier's log.
 */
export async function loadPrograms(options: PacketparserOptions): Promise<LoadedPrograms> {
  checkSizes(options, pageSize());
  const transport = chooseTransport(options.eventTransport, () => mapTypeSupported(MapType.RINGBUF, 0, 0, pageSize()));
  const bytes = await readObject(options.objectDirectory ?? OBJECT_DIRECTORY, transport);
  using stack = new DisposableStack();
  const open = (names: readonly string[], clock: Readonly<Record<string, number>>) =>
    openObject(bytes, transport, options, names, clock);
  const first = loadWithBestClock(transport, (clock) => open(firstPrograms(options), clock));
  const { object } = first;
  stack.use(object);
  const events = object.map("EVENTS");
  const ring = transport === "ring"
    ? stack.use(new MappedRing(events))
    : stack.use(new MappedPerf(events, options.perfPages));
  const owned = stack.move();
  const programs = new Map(firstPrograms(options).map((name) => [name, object.program(name)]));
  return {
    loaded: object.program(firstPrograms(options)[0]),
    ...{ transport, ring, conntrack: object.map("CONNTRACK"), stats: object.map("STATS") },
    // The boot-time clock came to BPF with the ring buffer's kernel; the perf variant does without it.
    clock: transport === "ring" ? Clock.BOOTTIME : Clock.MONOTONIC,
    perfLost: () => ring instanceof MappedPerf ? ring.lost() : new Map(),
    program(name) {
      const known = programs.get(name);
      if (known !== undefined) return known;
      using attempt = new DisposableStack();
      const later = attempt.use(open([name], first.clock));
      for (const map of SHARED) if (later.mapNames().includes(map)) later.reuseMap(object.map(map));
      const program = later.load().program(name);
      owned.use(attempt.move());
      programs.set(name, program);
      return program;
    },
    [Symbol.dispose]: () => owned.dispose(),
  };
}

/**
 * The programs to load at start. Each takes the verifier some tens of milliseconds, and most nodes need two or four of eight: those for
 * devices without an Ethernet header are rare, for instance.
 */
function firstPrograms(options: PacketparserOptions): string[] {
  const host = ["host_ingress", "host_egress"];
  const endpoint = ["endpoint_ingress", "endpoint_egress"];
  if (!options.podLevel) return host;
  return options.extraInterfaces.length === 0 ? endpoint : [...host, ...endpoint];
}

/**
 * Loads with the coarse clock, which makes a packet half as costly, and without it where the kernel does not have it (before 5.11).
 *
 * A program that asks for it is the probe: helpers come with backports, and a version string does not tell.
 */
function loadWithBestClock(
  transport: "ring" | "perf",
  open: (clock: Readonly<Record<string, number>>) => BpfObject,
): { object: BpfObject; clock: Readonly<Record<string, number>> } {
  const load = (clock: Readonly<Record<string, number>>) => {
    const object = open(clock);
    try {
      return { object: object.load(), clock };
    } catch (error) {
      object[Symbol.dispose]();
      throw error;
    }
  };
  if (transport === "perf") return load({});
  try {
    return load({ coarse_clock: 1 });
  } catch (error) {
    if (!(error instanceof LibbpfError) || !/helper|unknown func|invalid func/i.test(error.log ?? "")) throw error;
    return load({ coarse_clock: 0 });
  }
}

/** Opens the object with sizes, knobs and some of its programs; it is not loaded yet. */
function openObject(
  bytes: Uint8Array,
  transport: "ring" | "perf",
  options: PacketparserOptions,
  programs: readonly string[],
  clock: Readonly<Record<string, number>>,
): BpfObject {
  using stack = new DisposableStack();
  const object = stack.use(BpfObject.open(bytes, "packetparser"));
  for (const name of object.programNames()) object.setAutoload(name, programs.includes(name));
  object.setMaxEntries("CONNTRACK", options.conntrackEntries);
  if (transport === "ring") object.setMaxEntries("EVENTS", options.ringBufferSize);
  object.setConstant("sampling_rate", options.samplingRate);
  for (const [name, value] of Object.entries({ ...clock, ...options.knobs })) object.setConstant(name, value);
  stack.move();
  return object;
}

/**
 * Turns `auto` into what this kernel can do.
 *
 * @throws {Error} when the ring buffer was asked for and the kernel has none.
 */
export function chooseTransport(wanted: EventTransport, ringSupported: () => boolean): "ring" | "perf" {
  if (wanted === "perf") return "perf";
  if (ringSupported()) return "ring";
  if (wanted === "auto") return "perf";
  throw new Error(
    "Cannot use --event-transport ring: this kernel has no BPF ring buffer, expected Linux 5.8 or newer, use auto or perf",
  );
}

async function readObject(directory: string, transport: "ring" | "perf"): Promise<Uint8Array> {
  const path = `${directory}/packetparser.${transport}.bpf.o`;
  try {
    return await Deno.readFile(path);
  } catch (cause) {
    if (!(cause instanceof Deno.errors.NotFound)) throw cause;
    throw new Error(`Cannot read ${path}: the eBPF programs are not built, run deno task build:ebpf`);
  }
}
