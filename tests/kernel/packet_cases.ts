/** Packets of every kind that the parser knows, each with the event that it must give. */
import { EventFlag, IpProtocol, TcpFlag } from "../../src/flow/record.ts";
import {
  authentication,
  type Bytes,
  concat,
  ethernet,
  EtherType,
  extension,
  filler,
  fragment,
  icmp,
  ipv4,
  ipv6,
  sctp,
  tcp,
  timestampOption,
  udp,
} from "../packets.ts";
import type { Event } from "./event.ts";

export interface PacketCase {
  readonly name: string;
  readonly packet: Bytes;
  /** What differs from a first UDP packet from 10.0.0.1 to 10.0.0.2, see `expectedEvent`. */
  readonly event: Partial<Event>;
}

const { TCP, UDP, ICMP, ICMPV6, SCTP } = IpProtocol;
const ETHERNET = EventFlag.ETHERNET;
const HOP_BY_HOP = 0, ROUTING = 43, FRAGMENT = 44, AH = 51, OPTIONS = 60, NO_NEXT = 59;

const V6 = { ip_version: 6, src_addr: "fd00::1", dst_addr: "fd00::2" } as const;
const PORTS = { src_port: 40000, dst_port: 53 } as const;
const NOP = Uint8Array.of(1);

/** An IPv6 packet with extension headers, outermost first, and UDP inside. */
function chain(...headers: readonly ((next: number, payload: Bytes) => Bytes)[]): (types: readonly number[]) => Bytes {
  return (types) => {
    let inner = udp({});
    let next: number = UDP;
    for (let index = headers.length - 1; index >= 0; index--) {
      inner = headers[index](next, inner);
      next = types[index];
    }
    return ethernet({}, ipv6({ nextHeader: next }, inner));
  };
}

const tcp4 = (fields: Parameters<typeof tcp>[0], payload?: Bytes) =>
  ethernet({}, ipv4({ protocol: TCP }, tcp(fields, payload)));
const synthetic = { protocol: TCP, src_port: 40000, dst_port: 80, tcp_flags: TcpFlag.SYN };
const withStamps = {
  ...synthetic,
  event_flags: ETHERNET | EventFlag.TCP_TIMESTAMP,
  tcp_tsval: 0x01020304,
  tcp_tsecr: 0xfffefdfc,
};
const stamps = timestampOption(0x01020304, 0xfffefdfc);

const tcpCases: PacketCase[] = [
  ...Object.entries(TcpFlag).map(([name, flag]): PacketCase => ({
    name: `TCP flag ${name}`,
    packet: tcp4({ flags: flag | TcpFlag.SYN }),
    event: {
      ...synthetic,
      tcp_flags: flag | TcpFlag.SYN,
      // A SYN-ACK answers: its sender is the responder, and a RST ends the connection at once.
      ...(flag === TcpFlag.ACK && {
        is_reply: 1,
        traffic_direction: 1,
        total_bytes_tx: 0n,
        total_packets_tx: 0,
        total_bytes_rx: 54n,
        total_packets_rx: 1,
      }),
      ...(flag === TcpFlag.RST && { event_flags: ETHERNET | EventFlag.CLOSED }),
    },
  })),
  {
    name: "TCP sequence and acknowledgement numbers",
    packet: tcp4({ flags: TcpFlag.ACK, seq: 0xfedcba98, ack: 0x89abcdef }),
    event: { ...synthetic, tcp_flags: TcpFlag.ACK, tcp_seq: 0xfedcba98, tcp_ack: 0x89abcdef },
  },
  {
    name: "TCP acknowledgement number without ACK is no number",
    packet: tcp4({ flags: TcpFlag.SYN, seq: 7, ack: 0x89abcdef }),
    event: { ...synthetic, tcp_seq: 7 },
  },
  {
    name: "TCP timestamps as Linux sends them",
    packet: tcp4({ flags: TcpFlag.SYN, options: concat(NOP, NOP, stamps) }),
    event: withStamps,
  },
  {
    name: "TCP timestamps behind the options of a SYN",
    packet: tcp4({
      flags: TcpFlag.SYN,
      options: concat(Uint8Array.of(2, 4, 5, 0xb4, 4, 2), stamps, NOP, Uint8Array.of(3, 3, 7)),
    }),
    event: withStamps,
  },
  {
    name: "TCP timestamps behind fifteen NOPs",
    packet: tcp4({
      flags: TcpFlag.SYN,
      options: concat(filler(0), new Uint8Array(15).fill(1), stamps, new Uint8Array(3)),
    }),
    event: withStamps,
  },
  {
    name: "TCP timestamps behind the end of the options are none",
    packet: tcp4({ flags: TcpFlag.SYN, options: concat(NOP, Uint8Array.of(0), stamps) }),
    event: synthetic,
  },
  {
    name: "TCP timestamp option of a wrong length is none",
    packet: tcp4({ flags: TcpFlag.SYN, options: concat(Uint8Array.of(8, 9), filler(10)) }),
    event: synthetic,
  },
  {
    name: "TCP timestamp option that ends in the payload is none",
    packet: tcp4({ flags: TcpFlag.SYN, options: Uint8Array.of(1, 1, 8, 10) }, filler(20)),
    event: synthetic,
  },
  {
    name: "TCP option of length zero ends the walk",
    packet: tcp4({ flags: TcpFlag.SYN, options: concat(Uint8Array.of(5, 0), stamps) }),
    event: synthetic,
  },
];

const upperCases: PacketCase[] = [
  { name: "UDP", packet: ethernet({}, ipv4({ protocol: UDP }, udp({}, filler(9)))), event: PORTS },
  { name: "UDP without payload", packet: ethernet({}, ipv4({ protocol: UDP }, udp({}))), event: PORTS },
  {
    name: "UDP with the highest ports",
    packet: ethernet({}, ipv4({ protocol: UDP }, udp({ sourcePort: 65535, destinationPort: 65534 }))),
    event: { src_port: 65535, dst_port: 65534 },
  },
  {
    name: "SCTP",
    packet: ethernet({}, ipv4({ protocol: SCTP }, sctp({}, filler(4)))),
    event: { protocol: SCTP, src_port: 40000, dst_port: 3868 },
  },
  {
    name: "ICMP echo request",
    packet: ethernet({}, ipv4({ protocol: ICMP }, icmp({ type: 8, id: 77 }))),
    event: { protocol: ICMP, icmp_type: 8 },
  },
  {
    name: "ICMP echo reply seen first was asked for by the other end",
    packet: ethernet({}, ipv4({ protocol: ICMP }, icmp({ type: 0, id: 77 }))),
    event: {
      protocol: ICMP,
      is_reply: 1,
      traffic_direction: 1,
      total_bytes_tx: 0n,
      total_packets_tx: 0,
      total_bytes_rx: 42n,
      total_packets_rx: 1,
    },
  },
  {
    name: "ICMP port unreachable",
    packet: ethernet({}, ipv4({ protocol: ICMP }, icmp({ type: 3, code: 3 }, filler(28)))),
    event: { protocol: ICMP, icmp_type: 3, icmp_code: 3 },
  },
  {
    name: "ICMPv6 echo request",
    packet: ethernet({}, ipv6({ nextHeader: ICMPV6 }, icmp({ type: 128, id: 5 }))),
    event: { ...V6, protocol: ICMPV6, icmp_type: 128 },
  },
  {
    name: "ICMPv6 neighbour solicitation",
    packet: ethernet({}, ipv6({ nextHeader: ICMPV6 }, icmp({ type: 135 }, filler(16)))),
    event: { ...V6, protocol: ICMPV6, icmp_type: 135 },
  },
  ...[0, 2, 4, 41, 47, 50, 51, 112, 253, 255].map((protocol): PacketCase => ({
    name: `IPv4 protocol ${protocol} by its number`,
    packet: ethernet({}, ipv4({ protocol }, filler(8))),
    event: { protocol },
  })),
  {
    name: "IPv4 protocol without any payload",
    packet: ethernet({}, ipv4({ protocol: 50 }, filler(0))),
    event: { protocol: 50 },
  },
];

const linkCases: PacketCase[] = [
  {
    name: "VLAN",
    packet: ethernet({ vlans: [{ id: 100, priority: 7 }] }, ipv4({ protocol: UDP }, udp({}))),
    event: { ...PORTS, vlan_id: 100 },
  },
  {
    name: "VLAN with IPv6",
    packet: ethernet({ vlans: [{ id: 4094 }] }, ipv6({ nextHeader: UDP }, udp({}))),
    event: { ...V6, ...PORTS, vlan_id: 4094 },
  },
  {
    name: "QinQ gives the outer id",
    packet: ethernet({ vlans: [{ id: 7, type: EtherType.QINQ }, { id: 100 }] }, ipv4({ protocol: UDP }, udp({}))),
    event: { ...PORTS, vlan_id: 7 },
  },
  {
    name: "priority tag is no VLAN",
    packet: ethernet({ vlans: [{ id: 0, priority: 3 }] }, ipv4({ protocol: UDP }, udp({}))),
    event: PORTS,
  },
  {
    name: "Ethernet padding is no payload",
    packet: concat(ethernet({}, ipv4({ protocol: UDP }, udp({}))), filler(18)),
    event: PORTS,
  },
  {
    name: "MAC addresses as on the wire",
    packet: ethernet(
      { source: "12:34:56:78:9a:bc", destination: "ff:ff:ff:ff:ff:ff" },
      ipv4({ protocol: UDP }, udp({})),
    ),
    event: { ...PORTS, ethernet: "ff:ff:ff:ff:ff:ff 12:34:56:78:9a:bc" },
  },
];

const networkCases: PacketCase[] = [
  ...[4, 8, 40].map((length): PacketCase => ({
    name: `IPv4 with ${length} bytes of options`,
    packet: ethernet({}, ipv4({ protocol: UDP, options: new Uint8Array(length).fill(1) }, udp({}))),
    event: PORTS,
  })),
  {
    name: "IPv4 total length zero stands for the whole packet",
    packet: ethernet({}, ipv4({ protocol: UDP, totalLength: 0 }, udp({}))),
    event: PORTS,
  },
  {
    name: "IPv4 first fragment has its ports",
    packet: ethernet({}, ipv4({ protocol: UDP, moreFragments: true }, udp({}, filler(8)))),
    event: PORTS,
  },
  {
    name: "IPv4 later fragment has no ports",
    packet: ethernet({}, ipv4({ protocol: UDP, fragmentOffset: 1, moreFragments: true }, filler(8))),
    event: { event_flags: ETHERNET | EventFlag.FRAGMENT },
  },
  {
    name: "IPv4 last fragment of TCP has no flags",
    packet: ethernet({}, ipv4({ protocol: TCP, fragmentOffset: 0x1fff }, filler(3))),
    event: { protocol: TCP, event_flags: ETHERNET | EventFlag.FRAGMENT },
  },
  {
    name: "IPv4 addresses at their limits",
    packet: ethernet({}, ipv4({ protocol: UDP, source: "0.0.0.0", destination: "255.255.255.255" }, udp({}))),
    event: { ...PORTS, src_addr: "0.0.0.0", dst_addr: "255.255.255.255" },
  },
  { name: "IPv6", packet: ethernet({}, ipv6({ nextHeader: UDP }, udp({}))), event: { ...V6, ...PORTS } },
  {
    name: "IPv6 with TCP",
    packet: ethernet({}, ipv6({ nextHeader: TCP }, tcp({ flags: TcpFlag.SYN, seq: 9 }))),
    event: { ...V6, ...synthetic, tcp_seq: 9 },
  },
  {
    name: "IPv6 with addresses that differ in the first half only",
    packet: ethernet({}, ipv6({ nextHeader: UDP, source: "fd01::1", destination: "fd00::1" }, udp({}))),
    event: { ...V6, ...PORTS, src_addr: "fd01::1", dst_addr: "fd00::1" },
  },
  {
    name: "IPv6 payload length zero stands for the whole packet",
    packet: ethernet({}, ipv6({ nextHeader: UDP, payloadLength: 0 }, udp({}))),
    event: { ...V6, ...PORTS },
  },
  {
    name: "IPv6 no next header",
    packet: ethernet({}, ipv6({ nextHeader: NO_NEXT }, filler(0))),
    event: { ...V6, protocol: NO_NEXT },
  },
];

const extensionCases: PacketCase[] = [
  ...([["hop-by-hop", HOP_BY_HOP], ["routing", ROUTING], ["destination options", OPTIONS]] as const).map((
    [name, type],
  ): PacketCase => ({ name: `IPv6 ${name} header`, packet: chain(extension)([type]), event: { ...V6, ...PORTS } })),
  {
    name: "IPv6 long extension header",
    packet: chain((next, payload) => extension(next, payload, 5))([OPTIONS]),
    event: { ...V6, ...PORTS },
  },
  {
    name: "IPv6 authentication header",
    packet: chain((next, payload) => authentication(next, payload, 4))([AH]),
    event: { ...V6, ...PORTS },
  },
  {
    name: "IPv6 eight extension headers",
    packet: chain(...Array(8).fill(extension))([HOP_BY_HOP, ...Array(7).fill(OPTIONS)]),
    event: { ...V6, ...PORTS },
  },
  {
    name: "IPv6 first fragment has its ports",
    packet: chain((next, payload) => fragment(next, 0, true, payload))([FRAGMENT]),
    event: { ...V6, ...PORTS },
  },
  {
    name: "IPv6 later fragment has no ports",
    packet: chain(extension, (next, payload) => fragment(next, 3, false, payload))([HOP_BY_HOP, FRAGMENT]),
    event: { ...V6, event_flags: ETHERNET | EventFlag.FRAGMENT },
  },
  {
    name: "IPv6 encapsulated security payload by its number",
    packet: chain((_next, payload) => payload)([50]),
    event: { ...V6, protocol: 50 },
  },
  {
    name: "ICMPv6 behind a hop-by-hop header",
    packet: ethernet({}, ipv6({ nextHeader: HOP_BY_HOP }, extension(ICMPV6, icmp({ type: 143 }, filler(20))))),
    event: { ...V6, protocol: ICMPV6, icmp_type: 143 },
  },
];

/** Packets that give an event. */
export const packetCases: readonly PacketCase[] = [
  ...tcpCases,
  ...upperCases,
  ...linkCases,
  ...networkCases,
  ...extensionCases,
];

/** A test run refuses to make an IP packet shorter than its header; it does not look behind a VLAN tag. */
const tagged = { vlans: [{ id: 5 }] };

/** Packets that give none, and the counter that they go to. */
export const ignoredCases: readonly { name: string; packet: Bytes; reason: string }[] = [
  { name: "ARP", packet: ethernet({ type: EtherType.ARP }, filler(28)), reason: "NOT_IP" },
  { name: "unknown EtherType", packet: ethernet({ type: 0x88cc }, filler(28)), reason: "NOT_IP" },
  { name: "EtherType zero", packet: ethernet({ type: 0 }, filler(28)), reason: "NOT_IP" },
  { name: "802.3 length", packet: ethernet({ type: 46 }, filler(46)), reason: "NOT_IP" },
  {
    name: "three VLAN tags",
    packet: ethernet({ vlans: [{ id: 1 }, { id: 2 }, { id: 3 }] }, ipv4({ protocol: UDP }, udp({}))),
    reason: "TOO_MANY_HEADERS",
  },
  { name: "VLAN tag cut off", packet: ethernet({ type: EtherType.VLAN }, filler(2)), reason: "L2_TRUNCATED" },
  {
    name: "second VLAN tag cut off",
    packet: ethernet({ vlans: [{ id: 5 }], type: EtherType.VLAN }, filler(1)),
    reason: "L2_TRUNCATED",
  },
  {
    name: "IPv4 header cut off",
    packet: ethernet({ ...tagged, type: EtherType.IPV4 }, ipv4({ protocol: UDP }, udp({})).slice(0, 19)),
    reason: "L3_TRUNCATED",
  },
  {
    name: "IPv4 options cut off",
    packet: ethernet({}, ipv4({ protocol: UDP, headerWords: 15, totalLength: 60 }, udp({}))),
    reason: "L3_TRUNCATED",
  },
  {
    name: "IPv4 total length beyond the packet",
    packet: ethernet({}, ipv4({ protocol: UDP, totalLength: 29 }, udp({}))),
    reason: "L3_TRUNCATED",
  },
  {
    name: "IPv4 total length below the header",
    packet: ethernet({}, ipv4({ protocol: UDP, totalLength: 19 }, udp({}))),
    reason: "BAD_HEADER",
  },
  {
    name: "IPv4 header of four words",
    packet: ethernet({}, ipv4({ protocol: UDP, headerWords: 4 }, udp({}))),
    reason: "BAD_HEADER",
  },
  {
    name: "IPv4 of version 5",
    packet: ethernet({ type: EtherType.IPV4 }, ipv4({ protocol: UDP, version: 5 }, udp({}))),
    reason: "BAD_HEADER",
  },
  {
    name: "IPv6 of version 4",
    packet: ethernet({ type: EtherType.IPV6 }, ipv6({ nextHeader: UDP, version: 4 }, udp({}))),
    reason: "BAD_HEADER",
  },
  {
    name: "IPv6 header cut off",
    packet: ethernet({ ...tagged, type: EtherType.IPV6 }, ipv6({ nextHeader: UDP }, filler(0)).slice(0, 39)),
    reason: "L3_TRUNCATED",
  },
  {
    name: "IPv6 payload beyond the packet",
    packet: ethernet({}, ipv6({ nextHeader: UDP, payloadLength: 9 }, udp({}))),
    reason: "L3_TRUNCATED",
  },
  {
    name: "IPv6 extension header cut off",
    packet: ethernet({}, ipv6({ nextHeader: OPTIONS }, filler(7))),
    reason: "L3_TRUNCATED",
  },
  {
    name: "IPv6 extension header longer than the packet",
    packet: ethernet({}, ipv6({ nextHeader: OPTIONS }, extension(UDP, udp({}), 0).fill(255, 1, 2))),
    reason: "L3_TRUNCATED",
  },
  {
    name: "IPv6 nine extension headers",
    packet: chain(...Array(9).fill(extension))(Array(9).fill(OPTIONS)),
    reason: "TOO_MANY_HEADERS",
  },
  {
    name: "TCP header cut off",
    packet: ethernet({}, ipv4({ protocol: TCP }, tcp({}).slice(0, 19))),
    reason: "L4_TRUNCATED",
  },
  {
    name: "TCP options cut off",
    packet: ethernet({}, ipv4({ protocol: TCP }, tcp({ headerWords: 6 }))),
    reason: "L4_TRUNCATED",
  },
  {
    name: "TCP header in the Ethernet padding",
    packet: concat(ethernet({}, ipv4({ protocol: TCP }, tcp({}).slice(0, 8))), filler(20)),
    reason: "L4_TRUNCATED",
  },
  {
    name: "TCP header of four words",
    packet: ethernet({}, ipv4({ protocol: TCP }, tcp({ headerWords: 4 }))),
    reason: "BAD_HEADER",
  },
  { name: "UDP header cut off", packet: ethernet({}, ipv4({ protocol: UDP }, filler(7))), reason: "L4_TRUNCATED" },
  { name: "UDP over IPv6 cut off", packet: ethernet({}, ipv6({ nextHeader: UDP }, filler(7))), reason: "L4_TRUNCATED" },
  { name: "SCTP header cut off", packet: ethernet({}, ipv4({ protocol: SCTP }, filler(11))), reason: "L4_TRUNCATED" },
  { name: "ICMP header cut off", packet: ethernet({}, ipv4({ protocol: ICMP }, filler(7))), reason: "L4_TRUNCATED" },
  {
    name: "ICMPv6 header cut off",
    packet: ethernet({}, ipv6({ nextHeader: ICMPV6 }, filler(4))),
    reason: "L4_TRUNCATED",
  },
];
