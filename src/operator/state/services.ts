import { type Entry, makeEntry } from "../../identity/entry.ts";
import { ReservedIdentity } from "../../identity/identity.ts";
import type { ServiceFacts } from "../facts/service.ts";
import { API_SERVER_SERVICE } from "../facts/slice.ts";
import { type Claimant, type Claims, Rank } from "./claims.ts";
import type { LabelSet, Numbers } from "./numbers.ts";
import type { ServiceLookup } from "./backends.ts";

/** What services are resolved with. */
export interface ServiceContext {
  readonly claims: Claims;
  readonly numbers: Numbers;
  readonly cluster: string;
  /** Told of every service (by key) that appeared, vanished or changed. */
  readonly onChange: (service: string) => void;
}

class Service implements Claimant {
  readonly rank = Rank.SERVICE;
  readonly #context: ServiceContext;
  readonly #labelSet: LabelSet;

  constructor(readonly facts: ServiceFacts, context: ServiceContext) {
    this.#context = context;
    this.#labelSet = context.numbers.acquire(facts.namespace, [`k8s:io.kubernetes.svc.name=${facts.name}`]);
    for (const address of facts.addresses) context.claims.add(address, this);
  }

  get key(): string {
    return this.facts.key;
  }

  /** The older service has the address: two may share one by will, and a newcomer must not rename the other's flows. */
  get precedence(): number {
    return -this.facts.created;
  }

  entryFor(): Entry {
    const apiServer = this.facts.key === API_SERVER_SERVICE;
    const name = `k8s:io.kubernetes.svc.name=${this.facts.name}`;
    const namespace = `k8s:io.kubernetes.pod.namespace=${this.facts.namespace}`;
    return makeEntry({
      numeric: apiServer ? ReservedIdentity.KUBE_APISERVER : this.#labelSet.number,
      namespace: this.facts.namespace,
      service: this.facts.name,
      cluster: this.#context.cluster,
      labels: apiServer ? [namespace, name, "reserved:kube-apiserver"] : [namespace, name],
    });
  }

  leave(): void {
    for (const address of this.facts.addresses) this.#context.claims.remove(address, this);
    this.#context.numbers.release(this.#labelSet);
  }
}

/** The services of the cluster. */
export class Services implements ServiceLookup {
  readonly #services = new Map<string, Service>();
  readonly #context: ServiceContext;

  constructor(context: ServiceContext) {
    this.#context = context;
  }

  get size(): number {
    return this.#services.size;
  }

  hasAddress(service: string): boolean {
    return this.#services.get(service)?.facts.headless === false;
  }

  upsert(facts: ServiceFacts): void {
    const before = this.#services.get(facts.key);
    if (before !== undefined && sameService(before.facts, facts)) return;
    this.#services.set(facts.key, new Service(facts, this.#context));
    before?.leave();
    if (before?.facts.headless !== facts.headless) this.#context.onChange(facts.key);
  }

  /** Forgets a service, if it is this very one. */
  remove(key: string, uid?: string): void {
    const service = this.#services.get(key);
    if (service === undefined || uid !== undefined && service.facts.uid !== uid) return;
    this.#services.delete(key);
    service.leave();
    this.#context.onChange(key);
  }

  keys(): Iterable<string> {
    return this.#services.keys();
  }
}

function sameService(a: ServiceFacts, b: ServiceFacts): boolean {
  return a.uid === b.uid && a.created === b.created && a.headless === b.headless &&
    a.addresses.join() === b.addresses.join();
}
