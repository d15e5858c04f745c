import type { IpCache } from "../identity/ip_cache.ts";
import type { FlowCounters } from "./counters.ts";
import type { InterfaceTable } from "./interfaces.ts";
import { EVENT, EVENT_SIZE, SLOT_SIZE } from "./record.ts";
import type { FlowStore } from "./store.ts";

/** What a {@link RecordSink} writes to. */
export interface RecordSinkOptions {
  readonly store: FlowStore;
  readonly ipCache: Pick<IpCache, "lookup">;
  readonly counters: FlowCounters;
  readonly interfaces: Pick<InterfaceTable, "lookup">;
}

/** The walk of one event: two identity look-ups, one slot, the counters. Nothing else is computed per event. */
export class RecordSink {
  readonly #store: FlowStore;
  readonly #ipCache: Pick<IpCache, "lookup">;
  readonly #counters: FlowCounters;
  readonly #interfaces: Pick<InterfaceTable, "lookup">;
  /** Seconds and nanoseconds of the wall offset; events that are too short to be one. */
  readonly #state = new Float64Array(3);

  constructor(options: RecordSinkOptions) {
    this.#store = options.store;
    this.#ipCache = options.ipCache;
    this.#counters = options.counters;
    this.#interfaces = options.interfaces;
  }

  /**
   * Takes in one event of a ring.
   *
   * @param u32 words of the ring
   * @param at byte offset of the event, a multiple of four
   * @param length bytes of the event with its tail; a shorter one than `struct packet_event` is counted and left out
   */
  push(u32: Uint32Array, at: number, length: number): void {
    if (length < EVENT_SIZE) {
      this.#state[2]++;
      return;
    }
    const store = this.#store;
    const position = store.pushRecord(
      u32,
      at,
      length,
      this.#state[0],
      this.#state[1],
      this.#ipCache.lookup(u32, (at + EVENT.src_addr) >>> 2),
      this.#ipCache.lookup(u32, (at + EVENT.dst_addr) >>> 2),
      this.#interfaces.lookup(u32[(at + EVENT.ifindex) >>> 2]),
    );
    this.#counters.record(store.u8, store.u16, store.u32, (position & store.mask) * SLOT_SIZE);
  }

  /**
   * Sets CLOCK_REALTIME − CLOCK_BOOTTIME for the events that follow. A clock set to before the boot counts as 0.
   *
   * @param seconds whole seconds
   * @param nanos the rest, 0..999,999,999
   */
  setWallOffset(seconds: number, nanos: number): void {
    this.#state[0] = Math.max(0, seconds);
    this.#state[1] = seconds < 0 ? 0 : nanos;
  }

  /** Events that were too short to be a `struct packet_event`. */
  get malformed(): number {
    return this.#state[2];
  }

  /** Wakes the followers; to be called after each batch. */
  flush(): void {
    this.#store.flushBatch();
  }
}
