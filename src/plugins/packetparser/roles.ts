/** Decides which interfaces of the node to watch, and as what. Pure: the kernel's answers come in, roles go out. */
import { HardwareType, type Link, type LinkAddress } from "../../../ffi/link.ts";

/** What an interface is to the node. */
export interface Role {
  /** `endpoint`: the node's side of a pod's interface. `host`: a device of the node itself. */
  readonly point: "endpoint" | "host";
  /** Whether frames start with an Ethernet header. */
  readonly ethernet: boolean;
  /** Loopback shows each packet going out and coming in: one direction is enough. */
  readonly ingressOnly: boolean;
}

/** What was asked for. */
export interface Wanted {
  /** Names; `auto` may be among them. */
  readonly extraInterfaces: readonly string[];
  readonly podLevel: boolean;
  readonly podInterfaces?: RegExp | undefined;
}

/** What the kernel says beside the interfaces themselves. */
export interface NetworkFacts {
  /** Interfaces that a default route leaves by. */
  readonly defaultRoutes: ReadonlySet<number>;
  readonly addresses: readonly LinkAddress[];
}

/** Kinds that can have their other end in a pod. */
const POD_KINDS = new Set(["veth", "netkit"]);
/** Kinds that bundle devices: the bundle is watched, not the devices. */
const BUNDLES = new Set(["bond", "team"]);

/**
 * The role of every interface that is to be watched, by index. Interfaces that are down are left out until they are up.
 *
 * With `podLevel` every veth or netkit device with its peer in another namespace is a pod's, but for one that carries a
 * default route, which is the node's own way out where the node itself is a container, and those that `auto` takes.
 */
export function assignRoles(links: Iterable<Link>, wanted: Wanted, facts: NetworkFacts): Map<number, Role> {
  const up = [...links].filter((link) => link.up);
  const own = ownDevices(up, facts);
  const named = new Set(wanted.extraInterfaces);
  const roles = new Map<number, Role>();
  for (const link of up) {
    const base = { ethernet: hasEthernetHeader(link), ingressOnly: link.loopback };
    const isPod = wanted.podLevel && isPodInterface(link) && !facts.defaultRoutes.has(link.index);
    if (named.has(link.name) || (named.has("auto") && own.has(link.index))) {
      roles.set(link.index, { point: "host", ...base });
    } else if (isPod) {
      if (wanted.podInterfaces?.test(link.name) ?? true) roles.set(link.index, { point: "endpoint", ...base });
    }
  }
  return roles;
}

/**
 * The node's own devices, those that its traffic with the network passes. Each packet should pass one of them once, therefore:
 *
 * - physical devices and bundles of them (bond, team), but not the members of a bundle;
 * - a veth or netkit device with its peer in another namespace, if it carries a default route or has an address with a network behind
 *   it: in a container or a kind node that is what `eth0` is. The host side of a pod's veth has no address or one of full length;
 * - neither loopback, nor bridges, VLANs, macvlans and tunnels: their packets pass one of the devices above.
 *
 * When that leaves nothing, whatever carries a default route is taken: a macvlan in a container, for instance.
 */
function ownDevices(links: readonly Link[], facts: NetworkFacts): Set<number> {
  const networks = new Set(facts.addresses.filter(hasNetwork).map((address) => address.index));
  const own = links.filter((link) => {
    if (link.loopback || BUNDLES.has(link.masterKind)) return false;
    if (link.kind === "" || BUNDLES.has(link.kind)) return true;
    return isPodInterface(link) && (facts.defaultRoutes.has(link.index) || networks.has(link.index));
  });
  const chosen = own.length > 0 ? own : links.filter((link) => !link.loopback && facts.defaultRoutes.has(link.index));
  return new Set(chosen.map((link) => link.index));
}

function isPodInterface(link: Link): boolean {
  return POD_KINDS.has(link.kind) && link.peerNamespace !== undefined;
}

function hasEthernetHeader(link: Link): boolean {
  return link.hardwareType === HardwareType.ETHER || link.hardwareType === HardwareType.LOOPBACK;
}

/** An address that is reachable from elsewhere, with others of its network behind the same interface. */
function hasNetwork(address: LinkAddress): boolean {
  return address.scope === "global" && address.prefixLength < address.address.length * 8;
}
