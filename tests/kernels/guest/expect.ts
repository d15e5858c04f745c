/** What the traffic was, and how far the events of it agree. Pure: the guest fills it in, unit tests drive it without a kernel. */
import { ETHERNET_SIZE, EVENT_SIZE, EventFlag, IpProtocol, ReplyState, TcpFlag } from "../../../src/flow/record.ts";
import type { Packet } from "./packet.ts";

/** One connection as one interface must have seen it. Where a number is not known exactly, it is left out. */
export interface Conversation {
  /** For messages, for instance `UDP over IPv6 at veth0`. */
  readonly name: string;
  readonly ifindex: number;
  readonly protocol: number;
  readonly initiator: Endpoint;
  readonly responder: Endpoint;
  /** Direction of the connection behind the interface, `enum traffic_direction`. */
  readonly direction: number;
  /** Observation points of the initiator's packets and of the answers, `enum observation_point`. */
  readonly points: { readonly forward: number; readonly reverse: number };
  /** Packets each way. */
  readonly packets?: { readonly forward: number; readonly reverse: number };
  /** Length of each frame, for traffic whose frames are all alike. */
  readonly frameBytes?: number;
  readonly tcp?: TcpExpectation;
}

export interface Endpoint {
  readonly address: string;
  /** 0 for ICMP. */
  readonly port: number;
}

/** What a TCP connection carried. */
export interface TcpExpectation {
  /** Messages that the initiator sent and that came back, each a segment of its own with PSH. */
  readonly messages: number;
  /** The initiator ended it with RST instead of FIN. */
  readonly reset: boolean;
  /** No segment was sent again anywhere, so that segments can be counted exactly. */
  readonly exact: boolean;
}

/** ICMP types of an echo request and its reply (RFC 792, RFC 4443), by protocol. */
const ECHO: Readonly<Record<number, { readonly forward: number; readonly reverse: number }>> = {
  [IpProtocol.ICMP]: { forward: 8, reverse: 0 },
  [IpProtocol.ICMPV6]: { forward: 128, reverse: 129 },
};

/** Sentences about what differs; empty when the events are what they must be. */
export function differences(all: readonly Packet[], expected: Conversation): string[] {
  const problems: string[] = [];
  const check = (what: string, actual: unknown, wanted: unknown) => {
    if (actual !== wanted) problems.push(`${expected.name}: ${what} is ${actual}, expected ${wanted}`);
  };
  const icmp = ECHO[expected.protocol];
  const mine = all.filter((packet) =>
    packet.ifindex === expected.ifindex && packet.protocol === expected.protocol &&
    // Neighbour discovery goes between the same addresses.
    (icmp === undefined || packet.icmpType === icmp.forward || packet.icmpType === icmp.reverse)
  );
  const forward = mine.filter((packet) => isBetween(packet, expected.initiator, expected.responder));
  const reverse = mine.filter((packet) => isBetween(packet, expected.responder, expected.initiator));
  if (forward.length === 0 || reverse.length === 0) {
    return [`${expected.name}: ${forward.length} events forward and ${reverse.length} back, expected some of both`];
  }

  for (const [way, packets] of [["forward", forward], ["reverse", reverse]] as const) {
    for (const packet of packets) {
      check(`${way} observation point`, packet.point, expected.points[way]);
      check(`${way} direction`, packet.direction, expected.direction);
      check(`${way} is-reply`, packet.isReply, way === "forward" ? ReplyState.NO : ReplyState.YES);
      check(`${way} IP version`, packet.ipVersion, expected.initiator.address.includes(":") ? 6 : 4);
      check(`${way} Ethernet flag`, packet.eventFlags & EventFlag.ETHERNET, EventFlag.ETHERNET);
      check(`${way} record holds the tail`, packet.recordLength >= EVENT_SIZE + ETHERNET_SIZE, true);
      check(`${way} ICMP type`, packet.icmpType, icmp?.[way] ?? 0);
      if (expected.protocol !== IpProtocol.TCP) check(`${way} TCP flags`, packet.tcpFlags, 0);
      if (expected.frameBytes !== undefined) check(`${way} frame bytes`, packet.bytes, expected.frameBytes);
    }
    const packetCount = sum(packets, (packet) => 1 + packet.held.packets);
    const byteCount = sum(packets, (packet) => packet.bytes + packet.held.bytes);
    const last = packets[packets.length - 1];
    check(`${way} packets by its totals`, way === "forward" ? last.totalPackets.tx : last.totalPackets.rx, packetCount);
    check(`${way} bytes by its totals`, way === "forward" ? last.totalBytes.tx : last.totalBytes.rx, byteCount);
    if (expected.packets !== undefined) {
      check(`${way} packets`, packetCount, expected.packets[way]);
      if (expected.frameBytes !== undefined) {
        check(`${way} bytes`, byteCount, expected.packets[way] * expected.frameBytes);
      }
    }
  }
  if (expected.tcp !== undefined) problems.push(...tcpDifferences(forward, reverse, expected.name, expected.tcp));
  return problems;
}

function tcpDifferences(
  forward: readonly Packet[],
  reverse: readonly Packet[],
  name: string,
  expected: TcpExpectation,
): string[] {
  const problems: string[] = [];
  const check = (what: string, actual: number, wanted: number) => {
    if (actual !== wanted) problems.push(`${name}: ${what} is ${actual}, expected ${wanted}`);
  };
  /** Segments that may have been sent again. */
  const checkCount = (what: string, actual: number, wanted: number) => {
    if (expected.exact) check(what, actual, wanted);
    else if (actual < wanted) problems.push(`${name}: ${what} is ${actual}, expected at least ${wanted}`);
  };
  check("flags of the first segment", forward[0].tcpFlags, TcpFlag.SYN);
  check("flags of the first answer", reverse[0].tcpFlags, TcpFlag.SYN | TcpFlag.ACK);
  for (const [way, packets] of [["forward", forward], ["reverse", reverse]] as const) {
    const count = (flag: number, held: keyof Packet["held"]) =>
      sum(packets, (packet) => ((packet.tcpFlags & flag) === 0 ? 0 : 1) + packet.held[held]);
    const segments = sum(packets, (packet) => 1 + packet.held.packets);
    const synchronizing = count(TcpFlag.SYN, "syn");
    checkCount(`${way} SYN`, synchronizing, 1);
    // All segments acknowledge but the initiator's SYN, and the RST of a host that has forgotten the connection.
    const bare = packets.filter((one) => (one.tcpFlags & (TcpFlag.RST | TcpFlag.ACK)) === TcpFlag.RST).length;
    check(`${way} ACK`, count(TcpFlag.ACK, "ack"), segments - bare - (way === "forward" ? synchronizing : 0));
    // A reset leaves what was held back of the answers unreported.
    if (way === "forward" || !expected.reset) checkCount(`${way} PSH`, count(TcpFlag.PSH, "psh"), expected.messages);
    checkCount(`${way} FIN`, count(TcpFlag.FIN, "fin"), expected.reset ? 0 : 1);
    if (way === "forward" || !expected.reset) {
      checkCount(`${way} RST`, count(TcpFlag.RST, "rst"), expected.reset ? 1 : 0);
    }
  }
  const both = [...forward, ...reverse];
  check("events that close the connection", both.filter((one) => has(one, EventFlag.CLOSED)).length, 1);
  const stamped = both.filter((one) => (one.tcpFlags & TcpFlag.RST) === 0);
  check("segments with a timestamp", stamped.filter((one) => has(one, EventFlag.TCP_TIMESTAMP)).length, stamped.length);
  return problems;
}

function has(packet: Packet, flag: number): boolean {
  return (packet.eventFlags & flag) !== 0;
}

function isBetween(packet: Packet, from: Endpoint, to: Endpoint): boolean {
  return packet.source === from.address && packet.destination === to.address &&
    packet.sourcePort === from.port && packet.destinationPort === to.port;
}

function sum(packets: readonly Packet[], value: (packet: Packet) => number): number {
  return packets.reduce((total, packet) => total + value(packet), 0);
}
