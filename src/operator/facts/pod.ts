import { canonicalAddresses } from "./addresses.ts";
import { type Json, keyOf, metaOf, object, objects, string } from "./json.ts";
import { labelsOf } from "./labels.ts";

/** The controller of an object. */
export interface OwnerReference {
  readonly uid: string;
  readonly kind: string;
  readonly name: string;
}

/** What is kept of a Pod. */
export interface PodFacts {
  readonly key: string;
  readonly uid: string;
  readonly namespace: string;
  readonly name: string;
  readonly created: number;
  /** It is being deleted: a pod that is not has the better claim to an address that both name. */
  readonly ending: boolean;
  readonly addresses: readonly string[];
  readonly labels: readonly string[];
  readonly owner: OwnerReference | undefined;
  /** Value of the label that a Deployment puts on the pods of one ReplicaSet. */
  readonly templateHash: string;
}

/** Facts of a Pod; undefined when it has no name or namespace. */
export function podFacts(pod: Json, onBad: (text: string) => void): PodFacts | undefined {
  const meta = metaOf(pod, true);
  if (meta === undefined) return undefined;
  const metadata = object(pod, "metadata");
  return {
    ...meta,
    key: keyOf(meta),
    ending: string(metadata, "deletionTimestamp") !== "",
    addresses: ownsAddresses(pod) ? canonicalAddresses(addressesOf(object(pod, "status")), onBad) : [],
    labels: labelsOf(pod, onBad),
    owner: ownerOf(pod),
    templateHash: string(object(metadata, "labels"), "pod-template-hash"),
  };
}

/** A pod in the node's network has no address of its own, and a finished one has given its address back. */
function ownsAddresses(pod: Json): boolean {
  const phase = string(object(pod, "status"), "phase");
  return object(pod, "spec")["hostNetwork"] !== true && phase !== "Succeeded" && phase !== "Failed";
}

function addressesOf(status: Json): string[] {
  const several = objects(status, "podIPs").map((item) => string(item, "ip"));
  return several.length > 0 ? several : [string(status, "podIP")];
}

/** The owner that controls the object, else the first one. */
export function ownerOf(from: Json): OwnerReference | undefined {
  const owners = objects(object(from, "metadata"), "ownerReferences");
  const owner = owners.find((one) => one["controller"] === true) ?? owners[0];
  if (owner === undefined) return undefined;
  const reference = { uid: string(owner, "uid"), kind: string(owner, "kind"), name: string(owner, "name") };
  return reference.kind === "" || reference.name === "" ? undefined : reference;
}
