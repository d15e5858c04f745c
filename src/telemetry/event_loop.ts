/** How often the delay is sampled, in milliseconds: each sample wakes the process. */
const INTERVAL_MS = 1000;

/**
 * Measures how late the event loop runs timers: everything that the agent does shares one thread, and this delay is what a
 * packet event, a gRPC stream or a probe waits for.
 */
export class EventLoopDelay {
  readonly #now: () => number;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #due = 0;
  #max = 0;
  #last = 0;

  /** @param now a monotonic clock in milliseconds */
  constructor(now: () => number = () => performance.now()) {
    this.#now = now;
  }

  start(): void {
    this.#due = this.#now() + INTERVAL_MS;
    this.#timer = setTimeout(() => this.#tick(), INTERVAL_MS);
  }

  stop(): void {
    clearTimeout(this.#timer);
  }

  #tick(): void {
    this.observe(Math.max(0, this.#now() - this.#due));
    this.start();
  }

  /** Takes one delay, in milliseconds, into account. */
  observe(delay: number): void {
    this.#last = delay;
    this.#max = Math.max(this.#max, delay);
  }

  /** The latest delay and the largest one since the last call, in seconds. */
  read(): { last: number; max: number } {
    const result = { last: this.#last / 1000, max: this.#max / 1000 };
    this.#max = 0;
    return result;
  }
}
