import type { Entry } from "../../identity/entry.ts";
import { asObject, type Json, keyOf, metaOf } from "../facts/json.ts";
import { nodeFacts } from "../facts/node.ts";
import { podFacts } from "../facts/pod.ts";
import { serviceFacts } from "../facts/service.ts";
import { sliceFacts } from "../facts/slice.ts";
import { Backends } from "./backends.ts";
import { type Change, Claims } from "./claims.ts";
import { Namespaces } from "./namespaces.ts";
import { ApiServers, Nodes } from "./nodes.ts";
import { Numbers } from "./numbers.ts";
import { Owners, uidOf } from "./owners.ts";
import { Pods } from "./pods.ts";
import { Services } from "./services.ts";

/** The kinds of objects that names come from. */
export const KINDS = ["Namespace", "Node", "ReplicaSet", "Job", "Service", "EndpointSlice", "Pod"] as const;
export type Kind = typeof KINDS[number];

/** One kind of objects, as its watcher sees it. */
export interface ObjectStore {
  /** Takes in an object or its new state; returns its key, undefined when it is unusable. */
  upsert(from: Json): string | undefined;
  /** Forgets an object that was deleted. */
  remove(from: Json): void;
  /** After a listing: forgets what it did not contain. */
  retain(keys: ReadonlySet<string>): void;
}

/** What the state has to say about itself. */
export interface ClusterStats {
  readonly entries: number;
  readonly pods: number;
  readonly services: number;
  readonly nodes: number;
  readonly namespaces: number;
  readonly slices: number;
  readonly owners: number;
  readonly identities: number;
  readonly collisions: number;
  readonly exhausted: number;
  readonly unchanged: number;
  readonly malformed: number;
}

/** Everything the operator knows of a cluster, and what it means for addresses. No I/O. */
export class ClusterState {
  readonly #claims = new Claims();
  readonly #numbers = new Numbers();
  readonly #owners = new Owners();
  readonly #namespaces = new Namespaces();
  readonly #backends: Backends;
  readonly #apiServers: ApiServers;
  readonly #pods: Pods;
  readonly #services: Services;
  readonly #nodes: Nodes;
  readonly #stores: Record<Kind, ObjectStore>;
  #malformed = 0;
  #lastMalformed = "";

  /** @param cluster name of the cluster; empty when there is only one */
  constructor(cluster: string) {
    const claims = this.#claims, numbers = this.#numbers, owners = this.#owners, namespaces = this.#namespaces;
    const backends = this.#backends = new Backends((pod) => this.#pods.touch(pod));
    const apiServers = this.#apiServers = new ApiServers(claims, cluster);
    const onChange = (service: string) => backends.serviceChanged(service);
    const services = this.#services = new Services({ claims, numbers, cluster, onChange });
    this.#pods = new Pods({ claims, numbers, owners, namespaces, backends, services, cluster });
    this.#nodes = new Nodes({ claims, apiServers, cluster });
    this.#stores = this.#makeStores();
  }

  store(kind: Kind): ObjectStore {
    return this.#stores[kind];
  }

  /** What every prefix means, as of the last {@link takeChanges}. */
  get entries(): ReadonlyMap<string, Entry> {
    return this.#claims.published;
  }

  /** Whether there may be changes to take. */
  get pending(): boolean {
    return this.#claims.pending;
  }

  /** What changed since the last call. */
  takeChanges(): Change[] {
    this.#numbers.settle();
    return this.#claims.take();
  }

  /** The last thing in an object that could not be used; empty when there was none. */
  get lastMalformed(): string {
    return this.#lastMalformed;
  }

  stats(): ClusterStats {
    return {
      entries: this.#claims.published.size,
      pods: this.#pods.size,
      services: this.#services.size,
      nodes: this.#nodes.size,
      namespaces: this.#namespaces.size,
      slices: this.#backends.size,
      owners: this.#owners.size,
      identities: this.#numbers.size,
      collisions: this.#numbers.collisions,
      exhausted: this.#numbers.exhausted,
      unchanged: this.#claims.unchanged,
      malformed: this.#malformed,
    };
  }

  #makeStores(): Record<Kind, ObjectStore> {
    const owners = {
      upsert: (from: Json) => this.#owners.upsert(from) ?? this.#bad("ReplicaSet or Job", from),
      remove: (from: Json) => this.#owners.remove(uidOf(from)),
    };
    return {
      ReplicaSet: ownersOfKind(owners),
      Job: ownersOfKind(owners),
      Namespace: {
        upsert: (from) =>
          this.#namespaces.upsert(from, this.#report("Namespace", from)) ?? this.#bad("Namespace", from),
        remove: (from) => this.#namespaces.remove(nameOf(from)),
        retain: (keys) => forget(this.#namespaces, keys, (name) => this.#namespaces.remove(name)),
      },
      Node: this.#storeOf("Node", nodeFacts, this.#nodes),
      Service: this.#storeOf("Service", serviceFacts, this.#services),
      Pod: this.#storeOf("Pod", podFacts, this.#pods),
      EndpointSlice: this.#storeOf("EndpointSlice", sliceFacts, {
        upsert: (facts) => {
          const before = this.#backends.upsert(facts);
          this.#moveApiServer(facts.addresses, before?.addresses ?? []);
        },
        remove: (key, uid) => {
          if (uid !== undefined && this.#backends.get(key)?.uid !== uid) return;
          this.#moveApiServer([], this.#backends.remove(key)?.addresses ?? []);
        },
        keys: () => this.#backends.keys(),
      }),
    };
  }

  #storeOf<F extends { readonly key: string }>(
    kind: string,
    read: (from: Json, onBad: (text: string) => void) => F | undefined,
    into: { upsert(facts: F): void; remove(key: string, uid?: string): void; keys(): Iterable<string> },
  ): ObjectStore {
    return {
      upsert: (from) => {
        const facts = read(from, this.#report(kind, from));
        if (facts === undefined) return this.#bad(kind, from);
        into.upsert(facts);
        return facts.key;
      },
      remove: (from) => {
        const meta = metaOf(from, false);
        if (meta !== undefined) into.remove(keyOf(meta), meta.uid);
      },
      retain: (keys) => forget(into, keys, (key) => into.remove(key)),
    };
  }

  #moveApiServer(now: readonly string[], before: readonly string[]): void {
    this.#apiServers.add(now);
    this.#apiServers.remove(before);
  }

  #bad(kind: string, from: Json): undefined {
    this.#report(kind, from)("no name, namespace or uid");
    return undefined;
  }

  #report(kind: string, from: Json): (text: string) => void {
    return (text) => {
      this.#malformed++;
      const meta = asObject(from["metadata"]);
      this.#lastMalformed = `${kind} ${meta?.["namespace"] ?? ""}/${meta?.["name"] ?? ""}: ${text}`;
    };
  }
}

/** ReplicaSets and Jobs are kept together but listed apart: each may only forget its own. */
function ownersOfKind(owners: Omit<ObjectStore, "retain">): ObjectStore {
  let known = new Set<string>();
  return {
    upsert(from) {
      const uid = owners.upsert(from);
      if (uid !== undefined) known.add(uid);
      return uid;
    },
    remove(from) {
      known.delete(uidOf(from));
      owners.remove(from);
    },
    retain(keys) {
      for (const uid of known) if (!keys.has(uid)) owners.remove({ metadata: { uid } });
      known = new Set(keys);
    },
  };
}

function forget(from: { keys(): Iterable<string> }, keys: ReadonlySet<string>, remove: (key: string) => void): void {
  for (const key of [...from.keys()]) if (!keys.has(key)) remove(key);
}

function nameOf(from: Json): string {
  return metaOf(from, false)?.name ?? "";
}
