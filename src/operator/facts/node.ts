import { formatPrefix } from "../../identity/address.ts";
import { canonicalAddresses, canonicalCidrs, gatewayOf } from "./addresses.ts";
import { type Json, metaOf, object, objects, string, strings } from "./json.ts";

/** What is kept of a Node. */
export interface NodeFacts {
  readonly key: string;
  readonly uid: string;
  readonly name: string;
  readonly created: number;
  /** Where other nodes reach it. */
  readonly internal: readonly string[];
  /** Further addresses of the node. */
  readonly external: readonly string[];
  /** Where its pods reach it, if the network plugin follows the custom. */
  readonly gateways: readonly string[];
  /** Where addresses of its pods come from. */
  readonly podCidrs: readonly string[];
}

/** Facts of a Node; undefined when it has no name. */
export function nodeFacts(node: Json, onBad: (text: string) => void): NodeFacts | undefined {
  const meta = metaOf(node, false);
  if (meta === undefined) return undefined;
  const listed = objects(object(node, "status"), "addresses");
  const ofType = (type: string) =>
    canonicalAddresses(
      listed.filter((item) => string(item, "type") === type).map((item) => string(item, "address")),
      onBad,
    );
  const spec = object(node, "spec");
  const several = strings(spec, "podCIDRs");
  const cidrs = canonicalCidrs(
    several.length > 0 ? several : [string(spec, "podCIDR")].filter((cidr) => cidr !== ""),
    onBad,
  );
  const internal = ofType("InternalIP");
  return {
    key: meta.name,
    uid: meta.uid,
    name: meta.name,
    created: meta.created,
    internal,
    external: ofType("ExternalIP").filter((address) => !internal.includes(address)),
    gateways: cidrs.map(gatewayOf).filter((address) => address !== undefined),
    podCidrs: cidrs.map(formatPrefix),
  };
}
