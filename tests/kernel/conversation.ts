/** Two ends that talk through one pod interface, packet by packet. */
import { EVENT_SIZE, IpProtocol } from "../../src/flow/record.ts";
import { type Bytes, ethernet, icmp, type IcmpFields, ipv4, tcp, type TcpFields, udp } from "../packets.ts";
import type { Event } from "./event.ts";
import type { Parser } from "./parser.ts";

/** The pod is 10.0.0.1, the peer 10.0.0.2; ports are 40000 and 80 unless given. */
export interface Conversation {
  /** TCP from the pod: seen on the way in from it. */
  fromPod(flags: number, payload?: Uint8Array, repeat?: number): Event[];
  /** TCP to the pod. */
  toPod(flags: number, payload?: Uint8Array, repeat?: number): Event[];
  udpFromPod(payload?: Uint8Array, repeat?: number): Event[];
  udpToPod(payload?: Uint8Array, repeat?: number): Event[];
  icmpFromPod(fields: IcmpFields): Event[];
  icmpToPod(fields: IcmpFields): Event[];
}

const POD = "10.0.0.1", PEER = "10.0.0.2";

export function conversation(parser: Parser, podPort = 40000, peerPort = 80): Conversation {
  const out = (protocol: number, payload: Bytes, repeat?: number) =>
    parser.run("endpoint_ingress", ethernet({}, ipv4({ protocol, source: POD, destination: PEER }, payload)), repeat);
  const back = (protocol: number, payload: Bytes, repeat?: number) =>
    parser.run("endpoint_egress", ethernet({}, ipv4({ protocol, source: PEER, destination: POD }, payload)), repeat);
  const outPorts = { sourcePort: podPort, destinationPort: peerPort };
  const backPorts = { sourcePort: peerPort, destinationPort: podPort };
  const segment = (ports: TcpFields, flags: number, payload?: Uint8Array) => tcp({ ...ports, flags }, payload);
  return {
    fromPod: (flags, payload, repeat) => out(IpProtocol.TCP, segment(outPorts, flags, payload), repeat),
    toPod: (flags, payload, repeat) => back(IpProtocol.TCP, segment(backPorts, flags, payload), repeat),
    udpFromPod: (payload, repeat) => out(IpProtocol.UDP, udp(outPorts, payload), repeat),
    udpToPod: (payload, repeat) => back(IpProtocol.UDP, udp(backPorts, payload), repeat),
    icmpFromPod: (fields) => out(IpProtocol.ICMP, icmp(fields)),
    icmpToPod: (fields) => back(IpProtocol.ICMP, icmp(fields)),
  };
}

/** What events tell together: their own packets and those held back before them. */
export interface Told {
  packets: number;
  bytes: number;
  psh: number;
  ack: number;
  ns: number;
}

export function told(events: readonly Event[]): Told {
  const sum = { packets: 0, bytes: 0, psh: 0, ack: 0, ns: 0 };
  for (const event of events) {
    sum.packets += 1 + event.held_packets;
    sum.bytes += event.bytes + event.held_bytes;
    sum.psh += (event.tcp_flags >> 3 & 1) + event.held_psh;
    sum.ack += (event.tcp_flags >> 4 & 1) + event.held_ack;
    sum.ns += (event.tcp_flags >> 8 & 1) + event.held_ns;
  }
  return sum;
}

/** Bytes of an Ethernet frame with IPv4 and TCP or UDP. */
export const FRAME = { tcp: 14 + 20 + 20, udp: 14 + 20 + 8, icmp: 14 + 20 + 8 } as const;

/** Bytes of the ring that one event takes, header and Ethernet tail included. */
export const RING_RECORD = 8 + EVENT_SIZE + 16;

/** A lifetime or interval for tests, in nanoseconds: long for a slow machine to send a few packets in, short to wait for. */
export const LIFETIME = 250_000_000;
/** Milliseconds after which a {@link LIFETIME} is over. */
export const WAIT = 270;

export function sleep(milliseconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}
