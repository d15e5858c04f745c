/** Events and counters of loaded programs, cut so that what is compared belongs to the same moments. */
import { clockNanos } from "../../../ffi/system.ts";
import { run } from "../../../scripts/process.ts";
import { type KernelCounters, KernelStats } from "../../../src/plugins/packetparser/kernel_stats.ts";
import type { LoadedPrograms } from "../../../src/plugins/packetparser/loader.ts";
import { type Packet, readPacket } from "./packet.ts";

const POLL_MS = 20;
/** Readings of the counters that were disturbed by a packet, at most: the lab is silent but for rare multicast reports. */
const ATTEMPTS = 100;

/** Counters and the number of events of one moment. */
export interface Moment {
  /** Of the events' clock, in nanoseconds. */
  readonly clock: bigint;
  readonly stats: KernelCounters;
  readonly devices: { readonly packets: number; readonly bytes: number };
  /** Events read since the programs were loaded. */
  readonly read: number;
}

/** Reads the ring as long as it is open. */
export interface Observer extends Disposable {
  /** Waits until no packet disturbs the reading, then reads all counters and the rest of the ring. */
  moment(): Promise<Moment>;
  /** Events between two moments, in their order. */
  events(from: Moment, to: Moment): Packet[];
  readonly stats: KernelStats;
}

/** @param devices names of the devices, in this namespace, that the programs are attached to */
export function observe(programs: LoadedPrograms, devices: readonly string[]): Observer {
  const stats = new KernelStats(programs.stats, programs.perfLost);
  const packets: Packet[] = [];
  const drain = () =>
    programs.ring.drain((words, at, length) => {
      packets.push(readPacket(words, at, length));
    }, Infinity);
  const poll = setInterval(drain, POLL_MS);
  return {
    stats,
    async moment() {
      let attempt = 0;
      for (;;) {
        const before = stats.totals();
        const counted = await deviceCounters(devices);
        const clock = clockNanos(programs.clock);
        drain();
        const quiet = stats.totals().packets === before.packets && packets.length === before.events;
        if (quiet || ++attempt === ATTEMPTS) return { clock, stats: before, devices: counted, read: packets.length };
        await new Promise((resolve) => setTimeout(resolve, POLL_MS));
      }
    },
    events(from, to) {
      const between = packets.slice(from.read, to.read);
      // A ring buffer keeps the order; perf rings are one a CPU, and time puts their events into one order.
      if (programs.transport === "ring") return between;
      return between.sort((one, other) => Number(one.nanos - other.nanos));
    },
    [Symbol.dispose]: () => clearInterval(poll),
  };
}

/** What the devices counted, both directions together. */
async function deviceCounters(devices: readonly string[]): Promise<{ packets: number; bytes: number }> {
  const total = { packets: 0, bytes: 0 };
  for (const device of devices) {
    const { stdout } = await run("ip", ["-j", "-s", "link", "show", "dev", device]);
    const [{ stats64: { rx, tx } }] = JSON.parse(stdout);
    total.packets += rx.packets + tx.packets;
    total.bytes += rx.bytes + tx.bytes;
  }
  return total;
}
