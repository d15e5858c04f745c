import { Clock, clockNanos, raiseFileLimit, wallOffsetNanos } from "../../../ffi/system.ts";
import type { Plugin, PluginContext, PluginHealth } from "../plugin.ts";
import { createAttacher, removeStaleFilters } from "./attach.ts";
import { ConntrackCollector, type ConntrackStats } from "./conntrack_collector.ts";
import { type KernelCounters, KernelStats } from "./kernel_stats.ts";
import { type LoadedPrograms, loadPrograms } from "./loader.ts";
import { network } from "./network.ts";
import type { PacketparserOptions } from "./options.ts";
import { RingReader } from "./reader.ts";
import type { InterfaceState } from "./watched.ts";
import { InterfaceWatcher, type WatcherCounters } from "./watcher.ts";

/** How often losses are looked for: a follower hears of them no more often. */
const LOSS_INTERVAL_MS = 1000;

/** Time to read what an interface's last packets left, before its name is forgotten; the rest shows without a name. */
const REMOVAL_READ_MS = 4;

/** Figures of a running packetparser, read at scrape time. */
export interface PacketparserStats {
  readonly transport: "ring" | "perf";
  readonly attachMode: "tcx" | "legacy";
  /** Counters of the programs, summed over the CPUs. */
  readonly kernel: KernelCounters;
  /** Events lost for lack of room, by CPU number. */
  readonly lostByCpu: readonly number[];
  /** Events read. `kernel.events` is as much once the ring is empty. */
  readonly eventsRead: number;
  readonly pendingBytes: number;
  readonly stalledMs: number;
  readonly interfaces: readonly InterfaceState[];
  readonly watcher: Readonly<WatcherCounters>;
  readonly conntrack: ConntrackStats;
}

/** What runs while the plugin is started. */
interface Running extends Disposable {
  readonly programs: LoadedPrograms;
  readonly attachMode: "tcx" | "legacy";
  readonly stats: KernelStats;
  readonly reader: RingReader;
  readonly watcher: InterfaceWatcher;
  readonly collector: ConntrackCollector;
}

/** Watches packets at the node's interfaces with eBPF. */
export class Packetparser implements Plugin {
  readonly name = "packetparser";
  readonly #options: PacketparserOptions;
  readonly #context: PluginContext;
  #running: Running | undefined;

  constructor(options: PacketparserOptions, context: PluginContext) {
    this.#options = options;
    this.#context = context;
  }

  /**
   * Loads and attaches the programs and starts to read.
   *
   * @throws {RangeError} for impossible sizes.
   * @throws {Error} for an unknown interface, a kernel without what was asked for, missing rights: one line says what to do.
   */
  async start(): Promise<void> {
    const { sink, log } = this.#context;
    raiseFileLimit();
    using stack = new DisposableStack();
    const programs = stack.use(await loadPrograms(this.#options));
    const attacher = createAttacher(programs, this.#options.tcAttach);
    for (const { interface: name, direction } of removeStaleFilters()) {
      log.warning("Removed the {direction} filter that a former agent left on {interface}", {
        direction,
        interface: name,
      });
    }
    const reader = new RingReader({
      ...{ ring: programs.ring, sink },
      wallOffset: () => wallOffsetNanos(programs.clock),
      alongside: () => watcher.poll(),
    });
    const watcher: InterfaceWatcher = new InterfaceWatcher({
      ...{ network, attacher, log },
      wanted: this.#options,
      names: this.#context.interfaces,
      beforeRemoval: () => reader.drain(REMOVAL_READ_MS),
    });
    const stats = new KernelStats(programs.stats, programs.perfLost);
    const collector = new ConntrackCollector({
      ...{ map: programs.conntrack, sink, log },
      monotonic: () => clockNanos(Clock.MONOTONIC),
      eventClock: () => clockNanos(programs.clock),
      isWatched: (ifindex) => watcher.isWatched(ifindex),
      created: () => stats.totals().conntrack_created,
    });
    stack.defer(() => this.#finish(reader, stats));
    stack.defer(() => watcher.stop());
    watcher.start();
    reader.start();
    collector.start();
    stack.defer(() => collector.stop());
    const losses = this.#followLosses(stats);
    stack.defer(() => clearInterval(losses));
    log.info("Watching packets: transport {transport}, attached by {mode}", {
      transport: programs.transport,
      mode: attacher.mode,
    });
    const owned = stack.move();
    this.#running = {
      ...{ programs, stats, reader, watcher, collector, attachMode: attacher.mode },
      [Symbol.dispose]: () => owned.dispose(),
    };
  }

  stop(): Promise<void> {
    this.#running?.[Symbol.dispose]();
    this.#running = undefined;
    return Promise.resolve();
  }

  health(): PluginHealth {
    if (this.#running === undefined) return { ok: false, detail: "not running", problems: [] };
    const { reader, watcher, programs } = this.#running;
    const states = watcher.states();
    const attached = states.filter((state) => state.attached).length;
    const problems = states.filter((state) => !state.attached && state.failures > 0)
      .map((state) => `${state.name}: not attached after ${state.failures} tries: ${state.error ?? "unknown reason"}`);
    const { corruptions } = programs.ring;
    if (corruptions > 0) {
      problems.push(`the content of the event ring made no sense ${corruptions} times and was dropped`);
    }
    if (reader.stalled) {
      const seconds = Math.round(reader.stalledMs / 1000);
      return {
        ok: false,
        detail: `no event read for ${seconds} s while ${programs.ring.pendingBytes} bytes wait`,
        problems,
      };
    }
    return { ok: true, detail: `${attached} of ${states.length} interfaces attached`, problems };
  }

  /** Figures for metrics and debugging; undefined unless it runs. */
  stats(): PacketparserStats | undefined {
    if (this.#running === undefined) return undefined;
    const { programs, stats, reader, watcher, collector, attachMode } = this.#running;
    return {
      transport: programs.transport,
      attachMode,
      kernel: stats.totals(),
      lostByCpu: stats.lostByCpu(),
      eventsRead: reader.records,
      pendingBytes: programs.ring.pendingBytes,
      stalledMs: reader.stalledMs,
      interfaces: watcher.states(),
      watcher: watcher.counters,
      conntrack: collector.stats,
    };
  }

  #followLosses(stats: KernelStats): ReturnType<typeof setInterval> {
    let before = clockNanos(Clock.REALTIME);
    return setInterval(() => {
      const now = clockNanos(Clock.REALTIME);
      this.#reportLosses(stats, before, now);
      before = now;
    }, LOSS_INTERVAL_MS);
  }

  #reportLosses(stats: KernelStats, firstNanos: bigint, lastNanos: bigint): void {
    for (const { cpu, count } of stats.newLosses()) this.#context.onLoss({ cpu, count, firstNanos, lastNanos });
  }

  /** After the programs were detached: what they wrote last is read, and what they lost is told. */
  #finish(reader: RingReader, stats: KernelStats): void {
    reader.stop();
    reader.drain();
    const now = clockNanos(Clock.REALTIME);
    this.#reportLosses(stats, now, now);
  }
}
