import { BpfObject } from "../../../ffi/bpf_object.ts";
import { MapType, mapTypeSupported } from "../../../ffi/bpf_map.ts";
import { LibbpfError } from "../../../ffi/error.ts";
import { MappedPerf } from "../../../ffi/mapped_perf.ts";
import { MappedRing } from "../../../ffi/mapped_ring.ts";
import { Clock, pageSize } from "../../../ffi/system.ts";
import type { BpfMap } from "../../../ffi/bpf_map.ts";
import type { RecordRing } from "../../../ffi/record_ring.ts";
import { checkSizes, type EventTransport, type PacketparserOptions } from "./options.ts";

/** Where the build puts the objects; the same place in the file system of a compiled executable. */
const OBJECT_DIRECTORY = `${import.meta.dirname}/../../../bpf/build`;

/** The programs in the kernel and the ring that they write. */
export interface LoadedPrograms extends Disposable {
  readonly transport: "ring" | "perf";
  readonly object: BpfObject;
  readonly ring: RecordRing;
  readonly conntrack: BpfMap;
  readonly stats: BpfMap;
  /** The clock of the events' time stamps. */
  readonly clock: Clock;
  /** Events that the perf rings reported as lost, by CPU; empty for a ring buffer. */
  readonly perfLost: () => ReadonlyMap<number, number>;
}

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
  const object = stack.use(loadWithBestClock(bytes, transport, options));
  const events = object.map("EVENTS");
  const ring = transport === "ring"
    ? stack.use(new MappedRing(events))
    : stack.use(new MappedPerf(events, options.perfPages));
  const owned = stack.move();
  return {
    transport,
    object,
    ring,
    conntrack: object.map("CONNTRACK"),
    stats: object.map("STATS"),
    // The boot-time clock came to BPF with the ring buffer's kernel; the perf variant does without it.
    clock: transport === "ring" ? Clock.BOOTTIME : Clock.MONOTONIC,
    perfLost: () => ring instanceof MappedPerf ? ring.lost() : new Map(),
    [Symbol.dispose]: () => owned.dispose(),
  };
}

/**
 * Loads with the coarse clock, which makes a packet half as costly, and without it where the kernel does not have it (before 5.11).
 *
 * A program that asks for it is the probe: helpers come with backports, and a version string does not tell.
 */
function loadWithBestClock(bytes: Uint8Array, transport: "ring" | "perf", options: PacketparserOptions): BpfObject {
  if (transport === "perf") return loadObject(bytes, transport, options, {});
  try {
    return loadObject(bytes, transport, options, { coarse_clock: 1 });
  } catch (error) {
    if (!(error instanceof LibbpfError) || !/helper|unknown func|invalid func/i.test(error.log ?? "")) throw error;
    return loadObject(bytes, transport, options, { coarse_clock: 0 });
  }
}

function loadObject(
  bytes: Uint8Array,
  transport: "ring" | "perf",
  options: PacketparserOptions,
  clock: Readonly<Record<string, number>>,
): BpfObject {
  using stack = new DisposableStack();
  const object = stack.use(BpfObject.open(bytes, "packetparser"));
  object.setMaxEntries("CONNTRACK", options.conntrackEntries);
  if (transport === "ring") object.setMaxEntries("EVENTS", options.ringBufferSize);
  object.setConstant("sampling_rate", options.samplingRate);
  for (const [name, value] of Object.entries({ ...clock, ...options.knobs })) object.setConstant(name, value);
  object.load();
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
    throw new Error(`Cannot read ${path}: the eBPF programs are not built, run deno task build:ebpf`, { cause });
  }
}
