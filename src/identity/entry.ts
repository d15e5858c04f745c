import type { IdentityFields } from "./make.ts";

/** What an operator tells agents of one prefix: the fields of its identity, and what agents need beside it. */
export interface Entry extends Required<IdentityFields> {
  /** The address is the one that other nodes reach the node at (its InternalIP): an agent listens there. */
  readonly nodeAddress: boolean;
}

/** Owners of a pod as the protocol and Hubble carry them. */
export type Workloads = Entry["workloads"];

export const NO_LABELS: readonly string[] = Object.freeze([]);
export const NO_WORKLOADS: Workloads = Object.freeze([]);

/** An entry with everything empty but what is given. */
export function makeEntry(fields: Partial<Entry> & { readonly numeric: number }): Entry {
  return {
    namespace: "",
    pod: "",
    service: "",
    node: "",
    cluster: "",
    labels: NO_LABELS,
    workloads: NO_WORKLOADS,
    nodeAddress: false,
    ...fields,
  };
}
