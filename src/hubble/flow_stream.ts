/** Moves frames from a reader of the store to a call: large writes, back-pressure, turns for the event loop. */
import type { FlowStore } from "../flow/store.ts";
import type { FlowReader } from "./flow_reader.ts";
import type { Call } from "./grpc/call.ts";

/** Size of a write. Larger ones were not faster; smaller ones were. */
export const BUFFER_SIZE = 64 * 1024;
/** A write up to this size is copied out of its buffer, so that a trickle of flows does not hold a buffer for each. */
const COPY_LIMIT = 8 * 1024;
/**
 * Writes of one call that have not left for the socket yet: one is sent while the next is encoded. All that a reader that stopped
 * costs besides what waits for its connection's socket (`grpc/backlog.ts`).
 */
const MAX_FLIGHTS = 2;
/** Buffers kept for the next call that needs one. */
const MAX_SPARE = 32;

/** Buffers of {@link BUFFER_SIZE} that calls share: a follower that waits for flows holds none. */
export class BufferPool {
  readonly #spare: Uint8Array[] = [];

  take(): Uint8Array {
    return this.#spare.pop() ?? new Uint8Array(BUFFER_SIZE);
  }

  give(buffer: Uint8Array): void {
    if (buffer.length === BUFFER_SIZE && this.#spare.length < MAX_SPARE) this.#spare.push(buffer);
  }
}

/** The part of a {@link Call} that streams of flows need. */
export type FlowCall = Pick<Call, "write" | "finished" | "signal">;

/**
 * Sends what `reader` reads until it is done or the call is over. Does not finish the call. While there is no room for another
 * write nothing is read: the reader is then overtaken, and says so.
 */
export async function streamFlows(
  call: FlowCall,
  reader: FlowReader,
  store: FlowStore,
  pool: BufferPool,
  turns: Turns,
): Promise<void> {
  const writes = new Writes(call, pool);
  let size = BUFFER_SIZE;
  while (!call.finished) {
    const buffer = size === BUFFER_SIZE ? pool.take() : new Uint8Array(size);
    const { length, progress } = reader.read(buffer);
    writes.send(buffer, length);
    if (progress === "done") return await writes.settled();
    size = progress === "grow" ? size * 2 : BUFFER_SIZE;
    if (progress === "idle") await newFlows(store, reader.lostDue, call.signal);
    else await turns.next();
    await writes.room();
  }
}

/** How long all streams together may work before the event loop gets its turn, in milliseconds. */
const TURN_MS = 1;

/** Shares the event loop between all streams and everybody else, the ring reader above all. */
export class Turns {
  #began = -Infinity;

  /** Resolves at once while there is time left, else in the next turn of the event loop. */
  async next(): Promise<void> {
    if (performance.now() - this.#began < TURN_MS) return;
    await new Promise((resolve) => setImmediate(resolve));
    this.#began = performance.now();
  }
}

/** The writes of one call that are on their way. */
class Writes {
  #flights = 0;
  #landed: (() => void) | undefined;

  constructor(readonly call: FlowCall, readonly pool: BufferPool) {}

  send(buffer: Uint8Array, length: number): void {
    const copied = length <= COPY_LIMIT;
    const bytes = copied ? buffer.slice(0, length) : buffer.subarray(0, length);
    if (copied) this.pool.give(buffer);
    if (length === 0) return;
    this.#flights++;
    this.call.write(bytes, () => {
      this.#flights--;
      if (!copied) this.pool.give(buffer);
      this.#landed?.();
    });
  }

  /** Waits until another write may be sent. */
  async room(): Promise<void> {
    while (this.#flights >= MAX_FLIGHTS) await this.#landing();
  }

  /** Waits until nothing is on its way. */
  async settled(): Promise<void> {
    while (this.#flights > 0) await this.#landing();
  }

  #landing(): Promise<void> {
    return new Promise((resolve) => this.#landed = resolve);
  }
}

/** Resolves when the store has new flows, after `timeout` milliseconds if given, or when the call is over. */
function newFlows(store: FlowStore, timeout: number | undefined, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const timer = timeout === undefined ? undefined : setTimeout(done, timeout);
    const unsubscribe = store.onPush(done);
    function done() {
      clearTimeout(timer);
      unsubscribe();
      signal.removeEventListener("abort", done);
      resolve();
    }
    signal.addEventListener("abort", done);
    if (signal.aborted) done();
  });
}
