/** Network interfaces, addresses and default routes as the kernel tells them (rtnetlink(7)); pure functions over message bodies. */
import { fromCString } from "./cstring.ts";
import { bytesAttribute, decodeAttributes, MessageType, type NetlinkMessage, u32Attribute } from "./netlink_message.ts";

/** Hardware types (`ARPHRD_*`) whose frames start with an Ethernet header, and the loopback, whose frames do too. */
export const HardwareType = { ETHER: 1, LOOPBACK: 772 } as const;

/** What the kernel says about an interface. */
export interface Link {
  readonly index: number;
  /** Up to 15 bytes; bytes that are no UTF-8 show as U+FFFD. */
  readonly name: string;
  /** Kind of a virtual interface: `veth`, `netkit`, `bridge`, `vlan` …; empty for a physical one. */
  readonly kind: string;
  /** Administratively up (IFF_UP). */
  readonly up: boolean;
  readonly loopback: boolean;
  /** `ARPHRD_*` number. */
  readonly hardwareType: number;
  /** Index of the bridge, bond … that it is a port of; 0 for none. */
  readonly master: number;
  /** Kind of that master as far as the kernel tells (`bridge`, `bond`); empty for none. */
  readonly masterKind: string;
  /** Index of the peer of a veth or of the device under a vlan; 0 for none. With `peerNamespace` it counts in that namespace. */
  readonly peerIndex: number;
  /** Number of the namespace that the peer lives in, or undefined when it lives in this one. */
  readonly peerNamespace: number | undefined;
  /** Hardware address. */
  readonly address: Uint8Array;
}

/** A change of an interface. */
export interface LinkChange {
  readonly kind: "changed" | "removed";
  readonly link: Link;
}

const IFINFOMSG_SIZE = 16;
const IFF_UP = 0x1;
const IFF_LOOPBACK = 0x8;
const Ifla = { ADDRESS: 1, IFNAME: 3, LINK: 5, MASTER: 10, LINKINFO: 18, LINK_NETNSID: 37 } as const;
const IflaInfo = { KIND: 1, SLAVE_KIND: 4 } as const;

/** Reads RTM_NEWLINK and RTM_DELLINK; undefined for anything else, and for what is cut short. */
export function decodeLink(message: NetlinkMessage): LinkChange | undefined {
  const { type, body } = message;
  if (type !== MessageType.NEWLINK && type !== MessageType.DELLINK) return undefined;
  // A bridge sends messages of family AF_BRIDGE in which a removal means "is no longer a port", not "is gone".
  if (body.byteLength < IFINFOMSG_SIZE || body.getUint8(0) !== 0) return undefined;
  const attributes = decodeAttributes(body, IFINFOMSG_SIZE);
  const info = attributes.get(Ifla.LINKINFO);
  const details = info === undefined ? new Map<number, DataView>() : decodeAttributes(info, 0);
  const flags = body.getUint32(8, true);
  const link: Link = {
    index: body.getInt32(4, true),
    name: text(attributes.get(Ifla.IFNAME)),
    kind: text(details.get(IflaInfo.KIND)),
    up: (flags & IFF_UP) !== 0,
    loopback: (flags & IFF_LOOPBACK) !== 0,
    hardwareType: body.getUint16(2, true),
    master: u32Attribute(attributes.get(Ifla.MASTER)) ?? 0,
    masterKind: text(details.get(IflaInfo.SLAVE_KIND)),
    peerIndex: u32Attribute(attributes.get(Ifla.LINK)) ?? 0,
    peerNamespace: u32Attribute(attributes.get(Ifla.LINK_NETNSID)),
    address: bytesAttribute(attributes.get(Ifla.ADDRESS)),
  };
  if (link.index <= 0 || link.name === "") return undefined;
  return { kind: type === MessageType.NEWLINK ? "changed" : "removed", link };
}

/** An address of an interface of this namespace. */
export interface LinkAddress {
  readonly index: number;
  /** Four or sixteen bytes, network order. */
  readonly address: Uint8Array;
  /** Bits of the network that the address is in. */
  readonly prefixLength: number;
  /** How far the address reaches: `global` for everywhere, else the link or this machine alone. */
  readonly scope: "global" | "local";
}

const IFADDRMSG_SIZE = 8;
const RT_SCOPE_UNIVERSE = 0;
const Ifa = { ADDRESS: 1, LOCAL: 2 } as const;

/** Reads RTM_NEWADDR; undefined for anything else, and for what is cut short. */
export function decodeAddress(message: NetlinkMessage): LinkAddress | undefined {
  const { type, body } = message;
  if (type !== MessageType.NEWADDR || body.byteLength < IFADDRMSG_SIZE) return undefined;
  const attributes = decodeAttributes(body, IFADDRMSG_SIZE);
  // On a point-to-point interface ADDRESS is the other end's; LOCAL is ours. IPv6 sends ADDRESS alone otherwise.
  const address = bytesAttribute(attributes.get(Ifa.LOCAL) ?? attributes.get(Ifa.ADDRESS));
  if (address.length !== 4 && address.length !== 16) return undefined;
  return {
    index: body.getUint32(4, true),
    address,
    prefixLength: body.getUint8(1),
    scope: body.getUint8(3) === RT_SCOPE_UNIVERSE ? "global" : "local",
  };
}

const RTMSG_SIZE = 12;
const RTN_UNICAST = 1;
const Rta = { OIF: 4, MULTIPATH: 9 } as const;
const NEXTHOP_SIZE = 8;

/** Interfaces that a default route leaves by; empty for any other message, and for what is cut short. */
export function decodeDefaultRoute(message: NetlinkMessage): number[] {
  const { type, body } = message;
  if (type !== MessageType.NEWROUTE || body.byteLength < RTMSG_SIZE) return [];
  if (body.getUint8(1) !== 0 || body.getUint8(7) !== RTN_UNICAST) return [];
  const attributes = decodeAttributes(body, RTMSG_SIZE);
  const indices: number[] = [];
  const single = u32Attribute(attributes.get(Rta.OIF));
  if (single !== undefined) indices.push(single);
  const hops = attributes.get(Rta.MULTIPATH);
  for (let at = 0; hops !== undefined && at + NEXTHOP_SIZE <= hops.byteLength;) {
    const length = hops.getUint16(at, true);
    if (length < NEXTHOP_SIZE) break;
    indices.push(hops.getInt32(at + 4, true));
    at += (length + 3) & ~3;
  }
  return indices;
}

function text(attribute: DataView | undefined): string {
  return fromCString(bytesAttribute(attribute));
}
