/** Entries and identities in the form of {@link truth}. */
import type { Entry } from "../../src/identity/entry.ts";
import type { Identity } from "../../src/identity/identity.ts";
import type { Meaning } from "./truth.ts";

/** What an entry or an identity says. */
export function meaningOf(from: Entry | Identity): Meaning {
  const name = from.pod !== "" ? from.pod : from.service !== "" ? from.service : from.node;
  return {
    name: from.namespace === "" ? name : `${from.namespace}/${name}`,
    labels: from.labels.join(),
    workload: from.workloads.map(({ kind, name }) => `${kind}/${name}`).join(),
    service: from.service,
    reserved: from.numeric < 256 ? from.numeric : 0,
  };
}

/** Meanings sorted by prefix, for comparisons whose difference a person can read. */
export function meanings(entries: Iterable<readonly [string, Entry | Identity]>): Map<string, Meaning> {
  return sorted([...entries].map(([prefix, entry]) => [prefix, meaningOf(entry)] as const));
}

export function sorted(entries: Iterable<readonly [string, Meaning]>): Map<string, Meaning> {
  return new Map([...entries].sort(([a], [b]) => a < b ? -1 : 1));
}
