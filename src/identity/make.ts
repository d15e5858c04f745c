import { encodeEndpoint, encodeService } from "./endpoint_bytes.ts";
import { type Identity, ReservedIdentity } from "./identity.ts";

/** What an identity is made of; what is left out is empty. */
export interface IdentityFields {
  readonly numeric?: number;
  readonly namespace?: string;
  readonly pod?: string;
  readonly service?: string;
  readonly node?: string;
  readonly cluster?: string;
  /** Labels in Cilium form, in any order. */
  readonly labels?: readonly string[];
  readonly workloads?: readonly { readonly name: string; readonly kind: string }[];
}

const EMPTY: readonly never[] = Object.freeze([]);
const NO_BYTES = new Uint8Array(0);

/**
 * A class for the sake of memory: a cluster has many more identities than a node sees flows of, so the names and the
 * encoded forms are made when they are first asked for.
 */
class LazyIdentity implements Identity {
  #names: readonly string[] | undefined;
  #endpointBytes: Uint8Array | undefined;
  #serviceBytes: Uint8Array | undefined;

  constructor(
    readonly numeric: number,
    readonly namespace: string,
    readonly pod: string,
    readonly service: string,
    readonly node: string,
    readonly cluster: string,
    readonly labels: readonly string[],
    readonly workloads: readonly { readonly name: string; readonly kind: string }[],
  ) {}

  get names(): readonly string[] {
    return this.#names ??= namesOf(this);
  }

  get endpointBytes(): Uint8Array {
    return this.#endpointBytes ??= encodeEndpoint(this);
  }

  get serviceBytes(): Uint8Array {
    return this.#serviceBytes ??= this.service === "" ? NO_BYTES : encodeService(this.service, this.namespace);
  }
}

function namesOf(identity: Identity): readonly string[] {
  if (identity.pod !== "") return [`${identity.namespace}/${identity.pod}`];
  if (identity.service !== "") return [`${identity.namespace}/${identity.service}`];
  return identity.node === "" ? EMPTY : [identity.node];
}

/** Sorted by UTF-16 units; the same array when it is sorted already, so that shared arrays stay shared. */
function sorted(labels: readonly string[]): readonly string[] {
  for (let i = 1; i < labels.length; i++) if (labels[i - 1] > labels[i]) return labels.toSorted();
  return labels;
}

/** Builds the immutable identity, with `flow.Endpoint` and `flow.Service` encoded at their first use. */
export function makeIdentity(fields: IdentityFields): Identity {
  return new LazyIdentity(
    fields.numeric ?? ReservedIdentity.WORLD,
    fields.namespace ?? "",
    fields.pod ?? "",
    fields.service ?? "",
    fields.node ?? "",
    fields.cluster ?? "",
    sorted(fields.labels ?? EMPTY),
    fields.workloads ?? EMPTY,
  );
}

/** Whether two identities say the same, so that flows need not tell them apart. */
export function sameIdentity(a: Identity, b: Identity): boolean {
  if (a === b) return true;
  if (
    a.numeric !== b.numeric || a.namespace !== b.namespace || a.pod !== b.pod || a.service !== b.service ||
    a.node !== b.node || a.cluster !== b.cluster || a.labels.length !== b.labels.length ||
    a.workloads.length !== b.workloads.length
  ) return false;
  for (let i = 0; i < a.labels.length; i++) if (a.labels[i] !== b.labels[i]) return false;
  for (let i = 0; i < a.workloads.length; i++) {
    if (a.workloads[i].name !== b.workloads[i].name || a.workloads[i].kind !== b.workloads[i].kind) return false;
  }
  return true;
}

/** An end of which nothing is known, not even that it is outside the cluster. */
export const UNKNOWN_IDENTITY: Identity = makeIdentity({
  numeric: ReservedIdentity.UNKNOWN,
  labels: ["reserved:unknown"],
});

/** Every address that the cache does not know. */
export const WORLD_IDENTITY: Identity = makeIdentity({
  numeric: ReservedIdentity.WORLD,
  labels: ["reserved:world"],
});

/** The node that the agent runs on. */
export const HOST_IDENTITY: Identity = makeIdentity({ numeric: ReservedIdentity.HOST, labels: ["reserved:host"] });

/** The node that the agent runs on, when the API server runs there too. */
export const HOST_API_SERVER_IDENTITY: Identity = makeIdentity({
  numeric: ReservedIdentity.HOST,
  labels: ["reserved:host", "reserved:kube-apiserver"],
});
