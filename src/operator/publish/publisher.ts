import type { ClusterState } from "../state/cluster_state.ts";
import { ChangeLog } from "./change_log.ts";

/** What a {@link Publisher} is made with. */
export interface PublisherOptions {
  /** Changes of this many milliseconds travel together; what changes back within them does not travel at all. */
  readonly intervalMs: () => number;
  /** Bytes of past changes kept for agents that reconnect or are slow. */
  readonly logBytes: number;
}

/** Turns changes of the cluster's state into the log that agents read. */
export class Publisher {
  readonly #state: ClusterState;
  readonly #options: PublisherOptions;
  #log: ChangeLog | undefined;
  #timer: ReturnType<typeof setTimeout> | undefined;
  /** Changes that were published. */
  changes = 0;

  constructor(state: ClusterState, options: PublisherOptions) {
    this.#state = state;
    this.#options = options;
  }

  /** The log; undefined until {@link start}. */
  get log(): ChangeLog | undefined {
    return this.#log;
  }

  /** Begins the log: everything was listed once. */
  start(): void {
    if (this.#log !== undefined) return;
    this.#state.takeChanges();
    this.#log = new ChangeLog({
      // Later runs have larger epochs, unless the clock steps; all that matters is that they differ.
      epoch: BigInt(Date.now()) << 20n | BigInt(crypto.getRandomValues(new Uint32Array(1))[0] >>> 12),
      entries: this.#state.entries,
      maxBytes: this.#options.logBytes,
    });
  }

  /** Says that the state may have changed. */
  poke(): void {
    if (this.#log === undefined || this.#timer !== undefined || !this.#state.pending) return;
    this.#timer = setTimeout(() => this.flush(), this.#options.intervalMs());
  }

  /** Publishes at once what has changed. */
  flush(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    if (this.#log === undefined) return;
    const changes = this.#state.takeChanges();
    this.changes += changes.length;
    this.#log.append(changes);
  }

  stop(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }
}
