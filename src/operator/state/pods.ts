import { type Entry, makeEntry } from "../../identity/entry.ts";
import { ciliumLabel } from "../../identity/labels.ts";
import type { PodFacts } from "../facts/pod.ts";
import type { Backends, ServiceLookup } from "./backends.ts";
import { type Claimant, type Claims, Rank } from "./claims.ts";
import type { Namespace, Namespaces } from "./namespaces.ts";
import type { LabelSet, Numbers } from "./numbers.ts";
import type { Owner, Owners } from "./owners.ts";

/** What pods are resolved with. */
export interface PodContext {
  readonly claims: Claims;
  readonly numbers: Numbers;
  readonly owners: Owners;
  readonly namespaces: Namespaces;
  readonly backends: Backends;
  readonly services: ServiceLookup;
  readonly cluster: string;
}

/** An ending pod counts as older than any that is not. */
const ENDING = 2 ** 52;

class Pod implements Claimant {
  readonly rank = Rank.POD;
  readonly #context: PodContext;
  readonly #labelSet: LabelSet;
  readonly #owner: Owner;
  readonly #namespace: Namespace;

  /** What pods have in common is held once: of a pod of its own remain its names, its uid and its addresses. */
  readonly facts: PodFacts;

  constructor(facts: PodFacts, context: PodContext) {
    this.#context = context;
    this.#labelSet = context.numbers.acquire(facts.namespace, facts.labels);
    this.#owner = context.owners.join(facts.owner, facts.templateHash, this);
    this.#namespace = context.namespaces.join(facts.namespace, this);
    this.facts = {
      ...facts,
      namespace: this.#namespace.name,
      labels: this.#labelSet.labels,
      owner: this.#owner.reference ?? facts.owner,
    };
    for (const address of facts.addresses) context.claims.add(address, this);
  }

  get key(): string {
    return this.facts.key;
  }

  /** The newer pod has the address: the older one's end may not be known yet. */
  get precedence(): number {
    return this.facts.ending ? this.facts.created - ENDING : this.facts.created;
  }

  entryFor(): Entry {
    const service = this.#context.backends.serviceOf(this.facts.key, this.#context.services);
    return makeEntry({
      numeric: this.#labelSet.number,
      namespace: this.facts.namespace,
      pod: this.facts.name,
      service: service.slice(service.indexOf("/") + 1),
      cluster: this.#context.cluster,
      labels: render(this.#labelSet, this.#namespace.labels),
      workloads: this.#owner.workloads,
    });
  }

  touch(): void {
    for (const address of this.facts.addresses) this.#context.claims.touch(address);
  }

  ownerChanged(): void {
    this.touch();
  }

  namespaceChanged(): void {
    this.touch();
  }

  leave(): void {
    const { claims, numbers, owners, namespaces } = this.#context;
    for (const address of this.facts.addresses) claims.remove(address, this);
    numbers.release(this.#labelSet);
    owners.leave(this.facts.owner, this.facts.templateHash, this);
    namespaces.leave(this.facts.namespace, this);
  }
}

/** The pods that have addresses of their own. */
export class Pods {
  readonly #pods = new Map<string, Pod>();
  readonly #context: PodContext;

  constructor(context: PodContext) {
    this.#context = context;
  }

  get size(): number {
    return this.#pods.size;
  }

  /** Takes in a pod, or its new state. One without addresses is not kept. */
  upsert(facts: PodFacts): void {
    const before = this.#pods.get(facts.key);
    if (before !== undefined && samePod(before.facts, facts)) return;
    // The new state joins before the old one leaves, so that what they share is not made anew.
    if (facts.addresses.length > 0) this.#pods.set(facts.key, new Pod(facts, this.#context));
    else this.#pods.delete(facts.key);
    before?.leave();
  }

  /** Forgets a pod, if it is this very one: another may have its name by now. */
  remove(key: string, uid?: string): void {
    const pod = this.#pods.get(key);
    if (pod === undefined || uid !== undefined && pod.facts.uid !== uid) return;
    this.#pods.delete(key);
    pod.leave();
  }

  /** Says that a pod's services may have changed. */
  touch(key: string): void {
    this.#pods.get(key)?.touch();
  }

  keys(): Iterable<string> {
    return this.#pods.keys();
  }
}

/** Labels of a pod in Cilium form; one array for all pods that have them. */
function render(set: LabelSet, namespaceLabels: readonly string[]): readonly string[] {
  if (set.rendered?.from !== namespaceLabels) {
    const own = set.labels.map(ciliumLabel);
    const labels = [...own, `k8s:io.kubernetes.pod.namespace=${set.namespace}`, ...namespaceLabels].sort();
    set.rendered = { from: namespaceLabels, labels };
  }
  return set.rendered.labels;
}

function samePod(a: PodFacts, b: PodFacts): boolean {
  return a.uid === b.uid && a.created === b.created && a.ending === b.ending && a.templateHash === b.templateHash &&
    a.owner?.uid === b.owner?.uid && a.owner?.name === b.owner?.name && a.owner?.kind === b.owner?.kind &&
    a.addresses.join() === b.addresses.join() && a.labels.join("\n") === b.labels.join("\n");
}
