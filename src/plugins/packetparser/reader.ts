import type { RecordRing } from "../../../ffi/record_ring.ts";
import type { RecordConsumer } from "../plugin.ts";

/** Records between two looks at the time; the kernel gets their room back at once. */
const STRIDE = 1024;
/** After this long the event loop gets its turn, however much waits. At 200 ns a record these are 20,000 records. */
const SLICE_MS = 4;
/** Pause after a poll that found something: records gather, one wake-up takes some hundred. */
const BUSY_PAUSE_MS = 5;
/** Longest pause: an event waits for as long at most. A wake-up costs up to 0.2 ms of CPU, so an idle node costs half a percent of a core. */
const IDLE_PAUSE_MS = 40;
/** How often the clocks are compared: a step of the wall clock stays in the flows no longer than this. */
const CLOCK_INTERVAL_MS = 1000;
/** How long records may wait without any being read before the reader counts as stalled. */
const STALL_MS = 30_000;

/** What a {@link RingReader} needs. */
export interface RingReaderOptions {
  readonly ring: RecordRing;
  readonly sink: RecordConsumer;
  /** Wall time − the clock of the records, in nanoseconds. */
  readonly wallOffset: () => bigint;
  /** Called at each turn of the timer. A wake-up costs a hundred times what a poll costs, so who polls as well does it here. Returns whether it wants another turn at once. */
  readonly alongside?: () => boolean;
  /** Milliseconds of a clock that never goes back. */
  readonly now?: () => number;
}

/**
 * Polls a ring by timer and hands its records to the sink.
 *
 * A poll costs a microsecond when there is nothing, so polling some times in 100 ms beats every way of being woken. Under load the pause is shorter,
 * and while the ring is not empty there is none: only a turn of the event loop after each slice.
 */
export class RingReader {
  readonly #ring: RecordRing;
  readonly #sink: RecordConsumer;
  readonly #wallOffset: () => bigint;
  readonly #alongside: () => boolean;
  readonly #now: () => number;
  readonly #push: (u32: Uint32Array, at: number, length: number) => void;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #pause = IDLE_PAUSE_MS;
  #clockDue = 0;
  #progress: number;
  #records = 0;
  #batches = 0;

  constructor(options: RingReaderOptions) {
    this.#ring = options.ring;
    this.#sink = options.sink;
    this.#wallOffset = options.wallOffset;
    this.#alongside = options.alongside ?? (() => false);
    this.#now = options.now ?? (() => performance.now());
    // One function for all polls: a closure made per poll would be optimised anew each time.
    const sink = options.sink;
    this.#push = (u32, at, length) => sink.push(u32, at, length);
    this.#progress = this.#now();
  }

  /** Records read so far. */
  get records(): number {
    return this.#records;
  }

  /** Polls that found something. */
  get batches(): number {
    return this.#batches;
  }

  /** Starts polling. */
  start(): void {
    this.#progress = this.#now();
    this.#schedule(0);
  }

  /** Stops polling; records that are left are for {@link drain}. */
  stop(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  /** Takes what is in the ring, without a pause. The limit is for a ring that is being written: a flood must not keep the caller. */
  drain(limitMs = Infinity): void {
    this.#refreshClock();
    this.#slice(limitMs);
  }

  /** One turn: a slice of records. Returns the pause until the next one in milliseconds. */
  poll(): number {
    this.#refreshClock();
    const { records, emptied } = this.#slice(SLICE_MS);
    if (!emptied) return 0;
    // A second look after a quiet poll comes later and later, after a busy one soon.
    this.#pause = records > 0 ? BUSY_PAUSE_MS : Math.min(IDLE_PAUSE_MS, this.#pause + BUSY_PAUSE_MS);
    return this.#pause;
  }

  /** Milliseconds that records have been waiting while none was read; 0 when none waits. */
  get stalledMs(): number {
    return this.#ring.pendingBytes === 0 ? 0 : this.#now() - this.#progress;
  }

  /** Whether records have been waiting for so long that only a restart can help. */
  get stalled(): boolean {
    return this.stalledMs > STALL_MS;
  }

  #schedule(pause: number): void {
    this.#timer = setTimeout(() => {
      // The next turn is set first: an error in this one goes to the agent, which decides, and the ring is not left unread meanwhile.
      this.#schedule(IDLE_PAUSE_MS);
      const pause = this.poll();
      const next = this.#alongside() ? 0 : pause;
      if (this.#timer === undefined || next === IDLE_PAUSE_MS) return;
      clearTimeout(this.#timer);
      this.#schedule(next);
    }, pause);
  }

  #slice(limitMs: number): { records: number; emptied: boolean } {
    const deadline = this.#now() + limitMs;
    let records = 0;
    let emptied = false;
    do {
      const stride = this.#ring.drain(this.#push, STRIDE);
      records += stride;
      emptied = stride < STRIDE;
    } while (!emptied && this.#now() < deadline);
    if (records > 0 || this.#ring.pendingBytes === 0) this.#progress = this.#now();
    if (records > 0) {
      this.#records += records;
      this.#batches++;
      this.#sink.flush();
    }
    return { records, emptied };
  }

  #refreshClock(): void {
    const now = this.#now();
    if (now < this.#clockDue) return;
    this.#clockDue = now + CLOCK_INTERVAL_MS;
    const offset = this.#wallOffset();
    const seconds = offset / 1_000_000_000n - (offset % 1_000_000_000n < 0n ? 1n : 0n);
    this.#sink.setWallOffset(Number(seconds), Number(offset - seconds * 1_000_000_000n));
  }
}
