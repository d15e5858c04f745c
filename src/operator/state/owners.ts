import { NO_WORKLOADS, type Workloads } from "../../identity/entry.ts";
import { type Json, object, string } from "../facts/json.ts";
import { ownerOf, type OwnerReference } from "../facts/pod.ts";

/** The controller of some pods, shared by them. */
export interface Owner {
  /** What a person calls it: the Deployment of a ReplicaSet, the CronJob of a Job. */
  readonly workloads: Workloads;
  /** How pods name it; undefined when it is none that is known here. */
  readonly reference: OwnerReference | undefined;
}

/** A pod, as far as its owner is concerned. */
export interface Dependent {
  /** The owner turned out to be another. */
  ownerChanged(): void;
}

interface Held extends Owner {
  workloads: Workloads;
  readonly reference: OwnerReference;
  readonly templateHash: string;
  readonly dependents: Set<Dependent>;
}

const NONE: Owner = { workloads: NO_WORKLOADS, reference: undefined };

/** Resolves the controllers of pods to the workloads that a person knows. */
export class Owners {
  /** By uid. Pods of one owner nearly always agree on its kind, name and hash: the lists have one member. */
  readonly #held = new Map<string, Held[]>();
  /** What owns each ReplicaSet and Job, by uid; null: nobody does. */
  readonly #parents = new Map<string, OwnerReference | null>();

  /** ReplicaSets and Jobs that are known. */
  get size(): number {
    return this.#parents.size;
  }

  /** The owner that a pod names; the pod is told when the answer changes, until {@link leave}. */
  join(reference: OwnerReference | undefined, templateHash: string, dependent: Dependent): Owner {
    // The "owner" of a static pod is the node that runs it.
    if (reference === undefined || reference.kind === "Node") return NONE;
    const list = this.#held.get(reference.uid) ?? [];
    let held = list.find((one) => sameOwner(one, reference, templateHash));
    if (held === undefined) {
      held = { reference, templateHash, dependents: new Set(), workloads: NO_WORKLOADS };
      held.workloads = this.#resolve(held);
      this.#held.set(reference.uid, [...list, held]);
    }
    held.dependents.add(dependent);
    return held;
  }

  leave(reference: OwnerReference | undefined, templateHash: string, dependent: Dependent): void {
    const list = reference && this.#held.get(reference.uid);
    const held = list?.find((one) => sameOwner(one, reference!, templateHash));
    if (list === undefined || held === undefined) return;
    held.dependents.delete(dependent);
    if (held.dependents.size > 0) return;
    if (list.length === 1) this.#held.delete(held.reference.uid);
    else this.#held.set(held.reference.uid, list.filter((one) => one !== held));
  }

  /** Takes in a ReplicaSet or a Job, of which only the metadata counts. Returns its uid, its key here. */
  upsert(from: Json): string | undefined {
    const uid = uidOf(from);
    if (uid === "") return undefined;
    this.#parents.set(uid, ownerOf(from) ?? null);
    this.#update(uid);
    return uid;
  }

  /** Forgets a ReplicaSet or a Job. */
  remove(uid: string): void {
    if (this.#parents.delete(uid)) this.#update(uid);
  }

  #update(uid: string): void {
    for (const held of this.#held.get(uid) ?? []) {
      const workloads = this.#resolve(held);
      if (workloads[0].kind === held.workloads[0].kind && workloads[0].name === held.workloads[0].name) continue;
      held.workloads = workloads;
      for (const dependent of held.dependents) dependent.ownerChanged();
    }
  }

  #resolve({ reference, templateHash }: Held): Workloads {
    const { kind, name, uid } = reference;
    const resolved = kind === "ReplicaSet" || kind === "Job";
    const parent = resolved ? this.#parents.get(uid) : null;
    const known = parent === undefined ? guess(reference, templateHash) : parent ?? { kind, name };
    return [{ name: known.name, kind: known.kind }];
  }
}

/**
 * The owner's owner by the names that the controllers of Kubernetes give. A pod's event may come before its
 * ReplicaSet's, and the operator may not be allowed to see ReplicaSets or Jobs at all.
 */
function guess({ kind, name }: OwnerReference, templateHash: string): { readonly kind: string; readonly name: string } {
  if (kind === "ReplicaSet" && templateHash !== "" && name.endsWith(`-${templateHash}`)) {
    return { kind: "Deployment", name: name.slice(0, -templateHash.length - 1) };
  }
  // A CronJob appends the scheduled time in minutes since 1970.
  const scheduled = kind === "Job" ? /^(.+)-\d{8,9}$/.exec(name) : null;
  return scheduled === null ? { kind, name } : { kind: "CronJob", name: scheduled[1] };
}

/** Uid of an object's metadata; empty when it has none. */
export function uidOf(from: Json): string {
  return string(object(from, "metadata"), "uid");
}

function sameOwner(held: Held, { kind, name }: OwnerReference, templateHash: string): boolean {
  return held.reference.kind === kind && held.reference.name === name && held.templateHash === templateHash;
}
