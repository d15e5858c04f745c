/** Delays between attempts: doubling from 0.5 s to 60 s, each with up to half of it taken off by chance. */
export class Backoff {
  #next = FIRST_MS;
  readonly #random: () => number;

  /** @param random gives 0 <= x < 1 */
  constructor(random: () => number = Math.random) {
    this.#random = random;
  }

  /** Milliseconds to wait before the next attempt. */
  next(): number {
    const delay = this.#next;
    this.#next = Math.min(MAX_MS, 2 * delay);
    // Without jitter all agents of a cluster would come back in the same instant.
    return Math.max(FIRST_MS, delay * (1 - this.#random() / 2));
  }

  /** Begins again with the shortest delay, after an attempt that went well. */
  reset(): void {
    this.#next = FIRST_MS;
  }
}

const FIRST_MS = 500;
const MAX_MS = 60_000;

/** Waits, or returns at once when the signal is aborted. */
export function sleep(milliseconds: number, signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve();
  return new Promise((resolve) => {
    const done = () => {
      clearTimeout(timer);
      signal.removeEventListener("abort", done);
      resolve();
    };
    const timer = setTimeout(done, milliseconds);
    signal.addEventListener("abort", done);
  });
}
