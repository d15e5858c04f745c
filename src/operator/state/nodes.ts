import { type Entry, makeEntry } from "../../identity/entry.ts";
import { ReservedIdentity } from "../../identity/identity.ts";
import type { NodeFacts } from "../facts/node.ts";
import { type Claimant, type Claims, Rank } from "./claims.ts";

/** Where the API server listens, by address; several slices may name one. */
export class ApiServers {
  readonly #count = new Map<string, number>();
  readonly #claims: Claims;
  readonly #claimant: Claimant;

  constructor(claims: Claims, cluster: string) {
    this.#claims = claims;
    const entry = makeEntry({ numeric: ReservedIdentity.KUBE_APISERVER, cluster, labels: ["reserved:kube-apiserver"] });
    this.#claimant = { rank: Rank.API_SERVER, precedence: 0, key: "", entryFor: () => entry };
  }

  has(address: string): boolean {
    return this.#count.has(address);
  }

  add(addresses: readonly string[]): void {
    for (const address of addresses) {
      const count = this.#count.get(address) ?? 0;
      this.#count.set(address, count + 1);
      if (count === 0) this.#claims.add(address, this.#claimant);
    }
  }

  remove(addresses: readonly string[]): void {
    for (const address of addresses) {
      const count = this.#count.get(address) ?? 0;
      if (count > 1) this.#count.set(address, count - 1);
      else if (this.#count.delete(address)) this.#claims.remove(address, this.#claimant);
    }
  }
}

/** What nodes are resolved with. */
export interface NodeContext {
  readonly claims: Claims;
  readonly apiServers: ApiServers;
  readonly cluster: string;
}

class Claim implements Claimant {
  constructor(
    readonly rank: number,
    readonly key: string,
    /** A node that replaces another keeps its address: the newer is believed. */
    readonly precedence: number,
    readonly entryFor: (prefix: string) => Entry,
  ) {}
}

/** The nodes of the cluster. */
export class Nodes {
  readonly #nodes = new Map<string, { readonly facts: NodeFacts; readonly claims: readonly [string, Claim][] }>();
  readonly #context: NodeContext;

  constructor(context: NodeContext) {
    this.#context = context;
  }

  get size(): number {
    return this.#nodes.size;
  }

  upsert(facts: NodeFacts): void {
    const before = this.#nodes.get(facts.key);
    if (before !== undefined && JSON.stringify(before.facts) === JSON.stringify(facts)) return;
    const claims = this.#claimsOf(facts);
    for (const [prefix, claim] of claims) this.#context.claims.add(prefix, claim);
    for (const [prefix, claim] of before?.claims ?? []) this.#context.claims.remove(prefix, claim);
    this.#nodes.set(facts.key, { facts, claims });
  }

  /** Forgets a node, if it is this very one. */
  remove(key: string, uid?: string): void {
    const node = this.#nodes.get(key);
    if (node === undefined || uid !== undefined && node.facts.uid !== uid) return;
    this.#nodes.delete(key);
    for (const [prefix, claim] of node.claims) this.#context.claims.remove(prefix, claim);
  }

  keys(): Iterable<string> {
    return this.#nodes.keys();
  }

  #claimsOf(facts: NodeFacts): [string, Claim][] {
    const node = (address: string) =>
      this.#entry(facts, this.#context.apiServers.has(address), facts.internal.includes(address));
    const { cluster } = this.#context;
    const pending = makeEntry({ numeric: ReservedIdentity.INIT, cluster, labels: ["reserved:init"] });
    const claim = (rank: number, entryFor: (prefix: string) => Entry) => (prefix: string): [string, Claim] => [
      prefix,
      new Claim(rank, facts.key, facts.created, entryFor),
    ];
    return [
      ...[...facts.internal, ...facts.external].map(claim(Rank.NODE, node)),
      ...facts.gateways.map(claim(Rank.GATEWAY, () => this.#entry(facts, false, false))),
      ...facts.podCidrs.map(claim(Rank.POD_CIDR, () => pending)),
    ];
  }

  #entry(facts: NodeFacts, apiServer: boolean, nodeAddress: boolean): Entry {
    const labels = [`k8s:io.kubernetes.node.name=${facts.name}`];
    if (apiServer) labels.push("reserved:kube-apiserver");
    labels.push("reserved:remote-node");
    const numeric = apiServer ? ReservedIdentity.KUBE_APISERVER : ReservedIdentity.REMOTE_NODE;
    return makeEntry({ numeric, node: facts.name, cluster: this.#context.cluster, labels, nodeAddress });
  }
}
