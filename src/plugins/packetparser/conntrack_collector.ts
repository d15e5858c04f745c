import type { BpfMap } from "../../../ffi/bpf_map.ts";
import { Errno } from "../../../ffi/errno.ts";
import { SystemError } from "../../../ffi/error.ts";
import type { PluginLogger, RecordConsumer } from "../plugin.ts";
import { expiresNanos, holdsBack, KEY, KEY_SIZE, lastEvents } from "./conntrack_entry.ts";

/** Pause between two sweeps. Entries live for 10 s and more, so a dead one lies about for a fraction of its life. */
const INTERVAL_MS = 15_000;
/** Entries of the first slice, and the bounds between which its size follows the time that a slice takes. */
const FIRST_SLICE = 1024;
const SMALLEST_SLICE = 64;
const LARGEST_SLICE = 16_384;
/** After this long the event loop gets its turn, whatever the slice; a slice that was quicker by far may be larger the next time. */
const SLICE_TARGET_MS = 2;
/** Entries between two looks at the time. */
const STRIDE = 64;
/** An entry is left alone for this long after its time: a packet that revives it in the moment of its removal would be a new connection. */
const GRACE_NS = 1e9;

/** What a {@link ConntrackCollector} needs. */
export interface ConntrackCollectorOptions {
  readonly map: Pick<BpfMap, "lookupBatch" | "nextKey" | "lookup" | "take" | "keySize" | "bufferSize" | "maxEntries">;
  readonly sink: Pick<RecordConsumer, "push" | "flush">;
  readonly log: PluginLogger;
  /** CLOCK_MONOTONIC, which entries expire by, in nanoseconds. */
  readonly monotonic: () => bigint;
  /** The clock of the events' time stamps, in nanoseconds. */
  readonly eventClock: () => bigint;
  /** Whether an interface is still watched: the connections of others are over. */
  readonly isWatched: (ifindex: number) => boolean;
  /** Entries that the programs have made so far. */
  readonly created: () => number;
}

/** Figures of the collector. */
export interface ConntrackStats {
  /** Entries that were alive at the last sweep. */
  readonly entries: number;
  /** Entries that were removed because their time was over or their interface gone. */
  readonly expired: number;
  /** Entries that the kernel gave up because the map was full; what they held back is not in any count. A lower bound. */
  readonly evicted: number;
  /** Packets that were told by a last event of the collector instead of an event of the kernel. */
  readonly lastPackets: number;
  readonly sweeps: number;
  readonly lastSweepMs: number;
  /** Longest time that a slice held the event loop. */
  readonly longestSliceMs: number;
  /** Whether this kernel has batch operations for maps (Linux 5.6). */
  readonly batch: boolean;
}

/** Removes connections from conntrack whose time is over, slice by slice, and tells what they had held back. */
export class ConntrackCollector {
  readonly #options: ConntrackCollectorOptions;
  readonly #key = new Uint8Array(KEY_SIZE);
  readonly #keyWords = new Uint32Array(this.#key.buffer);
  readonly #taken: Uint8Array;
  readonly #takenWords: Uint32Array;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #running = false;
  #slice = FIRST_SLICE;
  #keys = new Uint8Array(0);
  #values = new Uint8Array(0);
  #stats = {
    ...{
      entries: 0,
      expired: 0,
      evicted: 0,
      lastPackets: 0,
      sweeps: 0,
      lastSweepMs: 0,
      longestSliceMs: 0,
      batch: true,
    },
  };

  constructor(options: ConntrackCollectorOptions) {
    this.#options = options;
    this.#taken = new Uint8Array(options.map.bufferSize);
    this.#takenWords = new Uint32Array(this.#taken.buffer);
  }

  get stats(): ConntrackStats {
    return this.#stats;
  }

  /** Sweeps now and then until {@link stop}. */
  start(): void {
    this.#running = true;
    this.#schedule();
  }

  /** Stops after the slice that runs. */
  stop(): void {
    this.#running = false;
    clearTimeout(this.#timer);
  }

  #schedule(): void {
    this.#timer = setTimeout(async () => {
      await this.sweep(() => !this.#running);
      if (this.#running) this.#schedule();
    }, INTERVAL_MS);
  }

  /** One walk over the whole map. Between slices the event loop gets its turn. */
  async sweep(isStopped: () => boolean = () => false): Promise<void> {
    const start = performance.now();
    const created = this.#options.created();
    const now = Number(this.#options.monotonic()) - GRACE_NS;
    let live = 0;
    const slices = this.#stats.batch ? this.#batches() : this.#oneByOne();
    try {
      for (;;) {
        let from = performance.now();
        const slice = slices.next();
        if (slice.done === true) break;
        let worked = 0;
        for (let at = 0; at < slice.value; from = performance.now()) {
          const collected = this.#collect(at, slice.value, now, from + SLICE_TARGET_MS);
          at = collected.at;
          live += collected.live;
          const elapsed = performance.now() - from;
          worked += elapsed;
          this.#stats.longestSliceMs = Math.max(this.#stats.longestSliceMs, elapsed);
          await new Promise((resolve) => setTimeout(resolve, 0));
          if (isStopped()) return;
        }
        this.#adapt(worked);
      }
    } catch (error) {
      this.#failed(error);
      return;
    }
    const stats = this.#stats;
    stats.entries = live;
    stats.evicted = Math.max(stats.evicted, created - stats.expired - live);
    stats.sweeps++;
    stats.lastSweepMs = performance.now() - start;
  }

  #failed(error: unknown): void {
    const { log } = this.#options;
    if (error instanceof SystemError && error.errno === Errno.EINVAL && this.#stats.batch) {
      this.#stats.batch = false;
      log.info("This kernel has no batch operations for maps, conntrack is swept entry by entry");
    } else if (error instanceof SystemError && error.errno === Errno.ENOSPC) {
      // A bucket of the hash has more entries than the slice has room for.
      this.#slice = Math.min(LARGEST_SLICE, this.#slice * 2);
      log.debug("Conntrack sweep broke off, slices are {entries} entries from now on", { entries: this.#slice });
    } else {
      log.warning("Conntrack sweep failed: {error}", { error: String(error) });
    }
  }

  /** Slices by batch look-up: the number of entries in the buffers. */
  *#batches(): Generator<number> {
    for (let first = true, done = false; !done; first = false) {
      this.#makeRoom();
      const batch = this.#options.map.lookupBatch(
        first,
        this.#keys.subarray(0, this.#slice * KEY_SIZE),
        this.#values.subarray(0, this.#slice * this.#taken.length),
      );
      done = batch.done;
      yield batch.count;
    }
  }

  /** The same for kernels before 5.6. Keys that go while they are walked restart the walk, hence the limit. */
  *#oneByOne(): Generator<number> {
    const { map } = this.#options;
    let at: Uint8Array | null = null;
    const next = new Uint8Array(KEY_SIZE);
    for (let seen = 0, more = true; more && seen < 2 * map.maxEntries;) {
      this.#makeRoom();
      let count = 0;
      while (count < this.#slice && (more = map.nextKey(at, next))) {
        at = next.slice();
        seen++;
        const value = this.#values.subarray(count * this.#taken.length, (count + 1) * this.#taken.length);
        if (!map.lookup(next, value)) continue;
        this.#keys.set(next, count * KEY_SIZE);
        count++;
      }
      yield count;
    }
  }

  #makeRoom(): void {
    if (this.#keys.length >= this.#slice * KEY_SIZE) return;
    this.#keys = new Uint8Array(this.#slice * KEY_SIZE);
    this.#values = new Uint8Array(this.#slice * this.#taken.length);
  }

  /** Removes what is over among entries `at` to `end` of the buffers, until the deadline. Returns how far it came and how many live on. */
  #collect(at: number, end: number, now: number, deadline: number): { at: number; live: number } {
    const { map, isWatched, sink } = this.#options;
    const keys = new Uint32Array(this.#keys.buffer);
    const values = new Uint32Array(this.#values.buffer);
    let index = at;
    let live = 0;
    let told = 0;
    for (; index < end; index++) {
      if (index % STRIDE === 0 && index > at && performance.now() > deadline) break;
      const key = index * KEY_SIZE;
      if (expiresNanos(values, index * this.#taken.length) > now && isWatched(keys[(key + KEY.ifindex) >>> 2])) {
        live++;
        continue;
      }
      // Taken in one step with its last counts: the buffer may be some milliseconds old.
      for (let word = 0; word < KEY_SIZE / 4; word++) this.#keyWords[word] = keys[(key >>> 2) + word];
      if (!map.take(this.#key, this.#taken)) continue;
      this.#stats.expired++;
      if (holdsBack(this.#takenWords)) told += this.#tell();
    }
    if (told > 0) sink.flush();
    this.#stats.lastPackets += told;
    return { at: index, live };
  }

  #tell(): number {
    const { sink, eventClock } = this.#options;
    const [key, entry] = [new DataView(this.#key.buffer), new DataView(this.#taken.buffer)];
    return lastEvents(key, entry, eventClock(), (words, length) => sink.push(words, 0, length));
  }

  #adapt(elapsedMs: number): void {
    if (elapsedMs > SLICE_TARGET_MS) this.#slice = Math.max(SMALLEST_SLICE, this.#slice >> 1);
    else if (elapsedMs < SLICE_TARGET_MS / 2) this.#slice = Math.min(LARGEST_SLICE, this.#slice << 1);
  }
}
