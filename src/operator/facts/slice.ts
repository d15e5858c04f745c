import { canonicalAddresses } from "./addresses.ts";
import { type Json, keyOf, metaOf, object, objects, string, strings } from "./json.ts";

/** What is kept of an EndpointSlice. */
export interface SliceFacts {
  readonly key: string;
  readonly uid: string;
  /** Key of the Service; empty when the slice belongs to none. */
  readonly service: string;
  /** Keys of the pods behind it. */
  readonly pods: readonly string[];
  /** Addresses, kept only for the service of the API server itself. */
  readonly addresses: readonly string[];
}

/** Key of the service through which pods reach the API server. */
export const API_SERVER_SERVICE = "default/kubernetes";

/** Facts of an EndpointSlice. Endpoints that are not ready count too: traffic of a starting or ending pod is its service's. */
export function sliceFacts(slice: Json, onBad: (text: string) => void): SliceFacts | undefined {
  const meta = metaOf(slice, true);
  if (meta === undefined) return undefined;
  const name = string(object(object(slice, "metadata"), "labels"), "kubernetes.io/service-name");
  const service = name === "" ? "" : keyOf({ namespace: meta.namespace, name });
  const pods = new Set<string>(), addresses: string[] = [];
  for (const endpoint of objects(slice, "endpoints")) {
    const target = object(endpoint, "targetRef");
    if (string(target, "kind") === "Pod" && string(target, "name") !== "") {
      // A Service selects pods of its own namespace only.
      pods.add(keyOf({ namespace: meta.namespace, name: string(target, "name") }));
    }
    if (service === API_SERVER_SERVICE) addresses.push(...strings(endpoint, "addresses"));
  }
  return { key: keyOf(meta), uid: meta.uid, service, pods: [...pods], addresses: canonicalAddresses(addresses, onBad) };
}
