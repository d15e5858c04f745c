import { formatPrefix } from "../../identity/address.ts";
import { canonicalAddresses, canonicalCidrs, nodesOwn } from "./addresses.ts";
import { type Json, metaOf, object, objects, string, strings } from "./json.ts";

/** What is kept of a Node. */
export interface NodeFacts {
  readonly key: string;
  readonly uid: string;
  readonly name: string;
  readonly created: number;
  /** Where other nodes reach it. */
  readonly internal: readonly string[];
  /** Further addresses of the node: public ones, and those of its tunnels. */
  readonly external: readonly string[];
  /** Addresses in its pods' ranges that are its own, if the network plugin follows the custom. */
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
    external: [...new Set([...ofType("ExternalIP"), ...tunnelAddresses(node)])].filter((address) =>
      !internal.includes(address)
    ),
    gateways: cidrs.flatMap(nodesOwn),
    podCidrs: cidrs.map(formatPrefix),
  };
}

/** Annotations in which network plugins write addresses that a node has inside the pods' ranges. */
const TUNNELS = [
  "projectcalico.org/IPv4IPIPTunnelAddr",
  "projectcalico.org/IPv4VXLANTunnelAddr",
  "projectcalico.org/IPv6VXLANTunnelAddr",
  "projectcalico.org/IPv4WireguardInterfaceAddr",
  "projectcalico.org/IPv6WireguardInterfaceAddr",
  "network.cilium.io/ipv4-cilium-host",
  "network.cilium.io/ipv6-cilium-host",
];

function tunnelAddresses(node: Json): readonly string[] {
  const annotations = object(object(node, "metadata"), "annotations");
  return canonicalAddresses(TUNNELS.map((key) => string(annotations, key)), () => {});
}
