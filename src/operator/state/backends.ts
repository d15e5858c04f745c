import { type SliceFacts } from "../facts/slice.ts";

/** What the operator knows about a service beside its slices. */
export interface ServiceLookup {
  /** Whether a service with an address of its own has this key. */
  hasAddress(service: string): boolean;
}

/** Which services a pod is a backend of, from EndpointSlices. */
export class Backends {
  readonly #slices = new Map<string, SliceFacts>();
  readonly #byPod = new Map<string, SliceFacts[]>();
  readonly #byService = new Map<string, SliceFacts[]>();
  readonly #onPod: (pod: string) => void;

  /** @param onPod told of every pod (by key) whose services may have changed */
  constructor(onPod: (pod: string) => void) {
    this.#onPod = onPod;
  }

  get size(): number {
    return this.#slices.size;
  }

  /** Takes in a slice; returns the one it replaces. */
  upsert(slice: SliceFacts): SliceFacts | undefined {
    const before = this.#slices.get(slice.key);
    if (before !== undefined && sameSlice(before, slice)) return before;
    this.remove(slice.key);
    this.#slices.set(slice.key, slice);
    if (slice.service === "") return before;
    put(this.#byService, slice.service, slice);
    for (const pod of slice.pods) put(this.#byPod, pod, slice);
    slice.pods.forEach(this.#onPod);
    return before;
  }

  /** Forgets a slice; returns it. */
  remove(key: string): SliceFacts | undefined {
    const slice = this.#slices.get(key);
    if (slice === undefined) return undefined;
    this.#slices.delete(key);
    if (slice.service === "") return slice;
    drop(this.#byService, slice.service, slice);
    for (const pod of slice.pods) drop(this.#byPod, pod, slice);
    slice.pods.forEach(this.#onPod);
    return slice;
  }

  get(key: string): SliceFacts | undefined {
    return this.#slices.get(key);
  }

  keys(): Iterable<string> {
    return this.#slices.keys();
  }

  /** Says that a service appeared, vanished or changed. */
  serviceChanged(service: string): void {
    for (const slice of this.#byService.get(service) ?? []) slice.pods.forEach(this.#onPod);
  }

  /**
   * Key of the service that names a pod: of several one that has an address of its own, then the first by name. Empty
   * when the pod is behind no service.
   */
  serviceOf(pod: string, services: ServiceLookup): string {
    let found = "", foundHasAddress = false;
    for (const { service } of this.#byPod.get(pod) ?? []) {
      const hasAddress = services.hasAddress(service);
      if (found !== "" && (foundHasAddress && !hasAddress || foundHasAddress === hasAddress && found <= service)) {
        continue;
      }
      found = service;
      foundHasAddress = hasAddress;
    }
    return found;
  }
}

function put(index: Map<string, SliceFacts[]>, key: string, slice: SliceFacts): void {
  const list = index.get(key);
  if (list === undefined) index.set(key, [slice]);
  else list.push(slice);
}

function drop(index: Map<string, SliceFacts[]>, key: string, slice: SliceFacts): void {
  const list = index.get(key)?.filter((one) => one !== slice) ?? [];
  if (list.length === 0) index.delete(key);
  else index.set(key, list);
}

function sameSlice(a: SliceFacts, b: SliceFacts): boolean {
  return a.uid === b.uid && a.service === b.service && sameList(a.pods, b.pods) && sameList(a.addresses, b.addresses);
}

function sameList(a: readonly string[], b: readonly string[]): boolean {
  return a.length === b.length && a.every((item, i) => item === b[i]);
}
