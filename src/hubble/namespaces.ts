/** Which namespaces occurred in the flows of the last hour. */
import type { FlowStore } from "../flow/store.ts";
import { SLOT, SLOT_SIZE, SlotKind } from "../flow/record.ts";

/** How long a namespace is remembered, in milliseconds. */
const REMEMBER_MS = 3_600_000;

/** Flows that may wait to be looked at: the event loop must not stand still while a large store is read. */
const MAX_UNSEEN = 16_384;

/** A namespace of a cluster; the cluster is empty where there is only one. */
export interface NamespaceKey {
  readonly cluster: string;
  readonly namespace: string;
}

/**
 * Follows the store. A namespace is noted before its flows are overwritten, some thousand flows at a time: per flow that is two
 * reads and two writes of a number.
 */
export class NamespaceTracker {
  readonly #seen = new Map<string, NamespaceKey & { last: number }>();
  readonly #store: FlowStore;
  readonly #now: () => number;
  readonly #unsubscribe: () => void;
  #position = 0;

  /** `now` gives milliseconds of a clock that never steps. */
  constructor(store: FlowStore, now: () => number = () => performance.now()) {
    this.#store = store;
    this.#now = now;
    this.#unsubscribe = store.onPush(() => {
      if (store.head - this.#position >= Math.min(store.capacity / 4, MAX_UNSEEN)) this.#scan();
    });
  }

  /** Namespaces of the last hour, by cluster, then by name. */
  list(): NamespaceKey[] {
    this.#scan();
    const limit = this.#now() - REMEMBER_MS;
    for (const [key, { last }] of this.#seen) if (last < limit) this.#seen.delete(key);
    return [...this.#seen.values()]
      .map(({ cluster, namespace }) => ({ cluster, namespace }))
      .sort((a, b) => compare(a.cluster, b.cluster) || compare(a.namespace, b.namespace));
  }

  [Symbol.dispose](): void {
    this.#unsubscribe();
  }

  #scan(): void {
    const { u8, u32, mask, head, oldest } = this.#store;
    const indices = new Set<number>();
    let before = -1;
    for (let position = Math.max(this.#position, oldest); position < head; position++) {
      const at = (position & mask) * SLOT_SIZE;
      const kind = u8[at + SLOT.kind];
      if (kind === SlotKind.RECORD) {
        const source = u32[(at + SLOT.source_identity) >> 2];
        const destination = u32[(at + SLOT.destination_identity) >> 2];
        // Most flows have the ends of the one before, or one of them.
        if (source !== before) indices.add(source);
        indices.add(destination);
        before = source;
      } else if (kind === SlotKind.MESSAGE) {
        this.#noteMessage(position);
      }
    }
    this.#position = head;
    for (const index of indices) {
      const { cluster, namespace } = this.#store.identities.get(index);
      this.#note(cluster, namespace);
    }
  }

  #noteMessage(position: number): void {
    const message = this.#store.message(position);
    if (message?.$typeName !== "flow.Flow") return;
    for (const end of [message.source, message.destination]) {
      if (end !== undefined) this.#note(end.clusterName, end.namespace);
    }
  }

  #note(cluster: string, namespace: string): void {
    if (namespace !== "") this.#seen.set(`${cluster}/${namespace}`, { cluster, namespace, last: this.#now() });
  }
}

/** By bytes, as every Hubble client sorts: not by the language of the machine. */
function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
