import { FIRST_NUMBER, hashLabels, NUMBER_COUNT, preferredNumber } from "../../identity/numeric.ts";

/** A namespace with labels: what a numeric identity stands for. Shared by all pods that have it. */
export interface LabelSet {
  readonly namespace: string;
  /** Sorted `key=value`. */
  readonly labels: readonly string[];
  /** Numeric identity; 0 until {@link Numbers.settle}. */
  number: number;
  /** Labels as flows carry them, and the namespace labels that they were made with. */
  rendered: { readonly from: readonly string[]; readonly labels: readonly string[] } | undefined;
}

interface Held extends LabelSet {
  readonly key: string;
  readonly hash: { readonly high: number; readonly low: number };
  references: number;
}

/**
 * Gives every label set a number of its own. The hash says which; where two ask for the same, one gets the next free one.
 * Sets that arrive together, as all do when an operator starts, are served in the order of their hashes, so that a
 * restart repeats the outcome.
 */
export class Numbers {
  readonly #sets = new Map<string, Held>();
  readonly #byNumber = new Map<number, Held>();
  #unsettled: Held[] = [];
  /** Sets that did not get the number that their hash asks for. */
  collisions = 0;
  /** Sets that share a number because all are taken. */
  exhausted = 0;

  /** Distinct label sets in use. */
  get size(): number {
    return this.#sets.size;
  }

  /** The set of these labels, with one reference more. */
  acquire(namespace: string, labels: readonly string[]): LabelSet {
    const key = [namespace, ...labels].join("\n");
    let set = this.#sets.get(key);
    if (set === undefined) {
      const hash = hashLabels(namespace, labels);
      set = { key, namespace, labels, number: 0, rendered: undefined, hash, references: 0 };
      this.#sets.set(key, set);
      this.#unsettled.push(set);
    }
    set.references++;
    return set;
  }

  /** Gives one reference back; at zero the number is free. */
  release(released: LabelSet): void {
    const set = released as Held;
    if (--set.references > 0) return;
    this.#sets.delete(set.key);
    if (set.number === 0) return;
    if (set.number !== preferredNumber(set.hash)) this.collisions--;
    if (this.#byNumber.get(set.number) === set) this.#byNumber.delete(set.number);
    else this.exhausted--;
  }

  /** Gives a number to every set that has none yet. */
  settle(): void {
    if (this.#unsettled.length === 0) return;
    const waiting = this.#unsettled.filter((set) => set.references > 0);
    waiting.sort((a, b) => a.hash.high - b.hash.high || a.hash.low - b.hash.low || (a.key < b.key ? -1 : 1));
    for (const set of waiting) this.#number(set);
    this.#unsettled = [];
  }

  #number(set: Held): void {
    const preferred = preferredNumber(set.hash);
    let number = preferred;
    if (this.#byNumber.size < NUMBER_COUNT) {
      while (this.#byNumber.has(number)) number = FIRST_NUMBER + (number - FIRST_NUMBER + 1) % NUMBER_COUNT;
      this.#byNumber.set(number, set);
    } else {
      this.exhausted++;
    }
    if (number !== preferred) this.collisions++;
    set.number = number;
  }
}
