import { withoutEmpty } from "../../identity/labels.ts";
import { type Json, metaOf } from "../facts/json.ts";
import { labelsOf } from "../facts/labels.ts";

const NO_LABELS: readonly string[] = Object.freeze([]);

/** A namespace, shared by the pods in it, which may be known before it is. */
export interface Namespace {
  readonly name: string;
  /** Labels of the namespace as its pods' flows carry them, sorted. Another array after every change. */
  readonly labels: readonly string[];
}

interface Held extends Namespace {
  labels: readonly string[];
  readonly members: Set<Member>;
}

/** A pod, as far as its namespace is concerned. */
export interface Member {
  /** The namespace has other labels now. */
  namespaceChanged(): void;
}

/** Labels of namespaces. */
export class Namespaces {
  readonly #held = new Map<string, Held>();
  readonly #known = new Set<string>();

  /** Namespaces that are known. */
  get size(): number {
    return this.#known.size;
  }

  /** The namespace of a pod, which is told of changes until {@link leave}. */
  join(name: string, member: Member): Namespace {
    const held = this.#hold(name);
    held.members.add(member);
    return held;
  }

  leave(name: string, member: Member): void {
    this.#held.get(name)?.members.delete(member);
    this.#drop(name);
  }

  /** Takes in a Namespace. Returns its name, its key here. */
  upsert(from: Json, onBad: (text: string) => void): string | undefined {
    const name = metaOf(from, false)?.name;
    if (name === undefined) return undefined;
    this.#known.add(name);
    // Every namespace has its own name as a label; pods say the same already.
    const own = labelsOf(from, onBad).filter((label) => !label.startsWith("kubernetes.io/metadata.name="));
    this.#relabel(this.#hold(name), own.map((label) => `k8s:io.cilium.k8s.namespace.labels.${withoutEmpty(label)}`));
    return name;
  }

  remove(name: string): void {
    const held = this.#held.get(name);
    if (!this.#known.delete(name) || held === undefined) return;
    this.#relabel(held, NO_LABELS);
    this.#drop(name);
  }

  /** Names of all that is known. */
  keys(): Iterable<string> {
    return this.#known;
  }

  #hold(name: string): Held {
    let held = this.#held.get(name);
    if (held === undefined) this.#held.set(name, held = { name, labels: NO_LABELS, members: new Set() });
    return held;
  }

  #drop(name: string): void {
    const held = this.#held.get(name);
    if (held !== undefined && held.members.size === 0 && !this.#known.has(name)) this.#held.delete(name);
  }

  #relabel(held: Held, labels: readonly string[]): void {
    if (labels.length === held.labels.length && labels.every((label, i) => label === held.labels[i])) return;
    held.labels = labels;
    for (const member of held.members) member.namespaceChanged();
  }
}
