import { type Entry } from "../../identity/entry.ts";

/** Which claim to an address is believed: the lowest number first. */
export const Rank = {
  /** Some load balancers hand out the nodes' own addresses for services. */
  NODE: 0,
  SERVICE: 1,
  POD: 2,
  API_SERVER: 3,
  /** A guess: the network plugin may give that address to a pod. */
  GATEWAY: 4,
  POD_CIDR: 5,
} as const;

/** An object that says "this prefix is mine". */
export interface Claimant {
  readonly rank: number;
  /** Compared among claimants of one rank: the larger is believed. */
  readonly precedence: number;
  /** Breaks the tie: the smaller is believed. */
  readonly key: string;
  /** What the prefix stands for if this claimant is believed. */
  entryFor(prefix: string): Entry;
}

/** A prefix whose meaning changed; no entry: it has none any more. */
export interface Change {
  readonly prefix: string;
  readonly entry: Entry | undefined;
}

/**
 * Who claims which prefix, and what each prefix was last said to mean. The meaning is a function of the claims alone and
 * not of the order they came in, so that a restarted operator says the same.
 */
export class Claims {
  /** Nearly every prefix has one claimant: an array only where there are more. */
  readonly #claims = new Map<string, Claimant | Claimant[]>();
  readonly #published = new Map<string, Entry>();
  readonly #dirty = new Set<string>();
  /** Resolutions that changed nothing. */
  unchanged = 0;

  /** What every prefix was last said to mean. */
  get published(): ReadonlyMap<string, Entry> {
    return this.#published;
  }

  /** Whether there may be changes to take. */
  get pending(): boolean {
    return this.#dirty.size > 0;
  }

  add(prefix: string, claimant: Claimant): void {
    const present = this.#claims.get(prefix);
    if (present === undefined) this.#claims.set(prefix, claimant);
    else if (Array.isArray(present)) present.push(claimant);
    else this.#claims.set(prefix, [present, claimant]);
    this.#dirty.add(prefix);
  }

  remove(prefix: string, claimant: Claimant): void {
    const present = this.#claims.get(prefix);
    if (present === claimant) this.#claims.delete(prefix);
    else if (Array.isArray(present)) {
      const others = present.filter((one) => one !== claimant);
      this.#claims.set(prefix, others.length === 1 ? others[0] : others);
    }
    this.#dirty.add(prefix);
  }

  /** Says that a claimant of this prefix would now answer otherwise. */
  touch(prefix: string): void {
    this.#dirty.add(prefix);
  }

  /** Resolves what was touched and gives what changed since the last call. */
  take(): Change[] {
    const changes: Change[] = [];
    for (const prefix of this.#dirty) {
      const entry = best(this.#claims.get(prefix))?.entryFor(prefix);
      const before = this.#published.get(prefix);
      if (entry === undefined ? before === undefined : before !== undefined && sameEntry(before, entry)) {
        this.unchanged++;
        continue;
      }
      if (entry === undefined) this.#published.delete(prefix);
      else this.#published.set(prefix, entry);
      changes.push({ prefix, entry });
    }
    this.#dirty.clear();
    return changes;
  }
}

function best(claims: Claimant | Claimant[] | undefined): Claimant | undefined {
  return Array.isArray(claims) ? claims.reduce((a, b) => better(b, a) ? b : a) : claims;
}

function better(a: Claimant, b: Claimant): boolean {
  if (a.rank !== b.rank) return a.rank < b.rank;
  return a.precedence !== b.precedence ? a.precedence > b.precedence : a.key < b.key;
}

function sameEntry(a: Entry, b: Entry): boolean {
  return a.numeric === b.numeric && a.namespace === b.namespace && a.pod === b.pod && a.service === b.service &&
    a.node === b.node && a.cluster === b.cluster && a.nodeAddress === b.nodeAddress &&
    (a.labels === b.labels || a.labels.length === b.labels.length && a.labels.every((l, i) => l === b.labels[i])) &&
    (a.workloads === b.workloads || a.workloads.length === b.workloads.length &&
        a.workloads.every((w, i) => w.name === b.workloads[i].name && w.kind === b.workloads[i].kind));
}
