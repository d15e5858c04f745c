import type { ChangeLog } from "./change_log.ts";
import type { Frame } from "./wire.ts";

/** Where a reader's frames go: one stream of an agent. */
export interface FrameSink {
  readonly finished: boolean;
  /** Queues a frame; `flushed` runs when it has left, or never will. */
  write(bytes: Uint8Array, flushed: () => void): void;
}

/** What became of a reader, for metrics. */
export interface ReaderEvents {
  /** A snapshot begins: `resync` when the reader was too slow for the log. */
  readonly onSnapshot: (resync: boolean) => void;
  readonly onResume: () => void;
}

/**
 * Sends the log to one agent: a snapshot or what it missed, SYNC_COMPLETE, then every change. It holds a position and at most
 * one frame in flight. A reader that the log has overtaken gets a snapshot again, which the agent compares with what it has.
 */
export class LogReader {
  readonly #log: ChangeLog;
  readonly #sink: FrameSink;
  readonly #gzip: boolean;
  readonly #events: ReaderEvents;
  #revision: number;
  /** Frames of a snapshot that are still to be sent, and SYNC_COMPLETE. */
  #queue: Frame[] = [];
  #writing = false;
  #synced = false;
  readonly #unsubscribe: () => void;

  /**
   * @param from revision that the agent has; undefined for none, or one of another epoch
   * @param gzip whether the agent reads compressed frames
   */
  constructor(log: ChangeLog, sink: FrameSink, from: number | undefined, gzip: boolean, events: ReaderEvents) {
    this.#log = log;
    this.#sink = sink;
    this.#gzip = gzip;
    this.#events = events;
    this.#revision = from ?? -1;
    if (log.covers(this.#revision)) events.onResume();
    else this.#startSnapshot(false);
    this.#unsubscribe = log.subscribe(() => this.#onAppend());
    this.#pump();
  }

  /** How many frames the agent is behind. */
  get lag(): number {
    return this.#log.revision - this.#revision;
  }

  stop(): void {
    this.#unsubscribe();
  }

  #startSnapshot(resync: boolean): void {
    const snapshot = this.#log.snapshot();
    this.#queue = [...snapshot.frames];
    this.#revision = snapshot.revision;
    this.#synced = false;
    this.#events.onSnapshot(resync);
  }

  #onAppend(): void {
    // A reader that stands still in a snapshot must not keep it alive once it is of no use.
    if (this.#queue.length > 0 && !this.#log.covers(this.#revision)) this.#queue = [];
    this.#pump();
  }

  #pump(): void {
    while (!this.#writing && !this.#sink.finished) {
      const frame = this.#next();
      if (frame === undefined) return;
      this.#writing = true;
      this.#sink.write(frame.bytes(this.#gzip), () => {
        this.#writing = false;
        this.#pump();
      });
    }
  }

  #next(): Frame | undefined {
    const queued = this.#queue.shift();
    if (queued !== undefined) return queued;
    if (!this.#log.covers(this.#revision)) {
      this.#startSnapshot(true);
      return this.#queue.shift();
    }
    const frame = this.#log.after(this.#revision);
    if (frame !== undefined) {
      this.#revision++;
      return frame;
    }
    if (this.#synced) return undefined;
    this.#synced = true;
    return this.#log.syncComplete(this.#revision);
  }
}
