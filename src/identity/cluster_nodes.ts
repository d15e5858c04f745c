/** An address that a node's agent listens at. */
export interface NodeAddress {
  readonly name: string;
  readonly address: string;
}

/** A change of where a node is reached; `old` is unset for a new node, `new` for one that is gone. */
export interface NodeChange {
  readonly old?: NodeAddress;
  readonly new?: NodeAddress;
}

/** Where the agents of the cluster's nodes are reached: for each node one of its InternalIPs. */
export class ClusterNodes {
  readonly #names = new Map<string, string>();
  readonly #addresses = new Map<string, Set<string>>();
  readonly #chosen = new Map<string, string>();
  readonly #family: () => 4 | 6 | undefined;
  readonly #listeners = new Set<(change: NodeChange) => void>();

  /** @param family the family to reach nodes with where they have both; undefined: IPv4 */
  constructor(family: () => 4 | 6 | undefined = () => undefined) {
    this.#family = family;
  }

  /** The node that is reached at an address. */
  nameOf(address: string): string | undefined {
    return this.#names.get(address);
  }

  /** Every node with its address, sorted by name. */
  current(): NodeAddress[] {
    return [...this.#chosen].map(([name, address]) => ({ name, address })).sort((a, b) => a.name < b.name ? -1 : 1);
  }

  /** Says that a node is reached at an address, or that no node is there. */
  set(address: string, name: string | undefined): void {
    const before = this.#names.get(address);
    if (before === name) return;
    if (before !== undefined) {
      this.#names.delete(address);
      this.#addresses.get(before)?.delete(address);
      this.#choose(before);
    }
    if (name === undefined) return;
    this.#names.set(address, name);
    const addresses = this.#addresses.get(name) ?? new Set();
    this.#addresses.set(name, addresses.add(address));
    this.#choose(name);
  }

  /** Calls `listener` after every change, until the returned function is called. */
  subscribe(listener: (change: NodeChange) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  #choose(name: string): void {
    const addresses = [...this.#addresses.get(name) ?? []].sort();
    const wanted = this.#family() ?? 4;
    const address = addresses.find((one) => one.includes(":") === (wanted === 6)) ?? addresses[0];
    const before = this.#chosen.get(name);
    if (address === before) return;
    if (address === undefined) {
      this.#chosen.delete(name);
      this.#addresses.delete(name);
    } else {
      this.#chosen.set(name, address);
    }
    const change: NodeChange = {
      ...(before !== undefined && { old: { name, address: before } }),
      ...(address !== undefined && { new: { name, address } }),
    };
    for (const listener of this.#listeners) listener(change);
  }
}
