import { EVENT, IpProtocol, TcpFlag } from "../flow/record.ts";

/**
 * Integer counters of the flow records that the agent has read, indexed by small numbers so that one event costs a few
 * additions and no allocation. The scrape turns them into Prometheus series.
 *
 * Packets and bytes include what conntrack held back before each report, so they count traffic, not reports. They are
 * kept by observation point: a packet from pod to pod on one node is seen at two points, and adding them up would
 * count it twice.
 */
export class FlowMetrics {
  /** Reports by protocol class × observation point. */
  readonly #events = new Float64Array(PROTOCOLS.length * POINTS.length);
  /** Packets by traffic direction × observation point. */
  readonly #packets = new Float64Array(DIRECTIONS.length * POINTS.length);
  /** Bytes by traffic direction × observation point. */
  readonly #bytes = new Float64Array(DIRECTIONS.length * POINTS.length);
  /** Packets with a TCP flag by flag × IP family. */
  readonly #flags = new Float64Array(FLAGS.length * FAMILIES.length);
  readonly #protocolClass = new Uint8Array(256).fill(PROTOCOLS.indexOf("other"));

  constructor() {
    for (const [number, name] of PROTOCOL_NUMBERS) this.#protocolClass[number] = PROTOCOLS.indexOf(name);
  }

  /** Counts the record at byte offset `at` of the flow store's arrays. */
  record(u8: Uint8Array, u16: Uint16Array, u32: Uint32Array, at: number): void {
    const word = at >>> 2;
    const point = u8[at + EVENT.observation_point] & 3;
    const direction = u8[at + EVENT.traffic_direction];
    const cell = (direction < 3 ? direction : 0) * POINTS.length + point;
    this.#events[this.#protocolClass[u8[at + EVENT.protocol]] * POINTS.length + point]++;
    this.#packets[cell] += 1 + u32[word + EVENT.held_packets / 4];
    this.#bytes[cell] += u32[word + EVENT.bytes / 4] + u32[word + EVENT.held_bytes / 4];
    if (u8[at + EVENT.protocol] === IpProtocol.TCP) this.#countFlags(u8, u16[(at + EVENT.tcp_flags) >>> 1], u32, at);
  }

  #countFlags(u8: Uint8Array, flags: number, u32: Uint32Array, at: number): void {
    const family = u8[at + EVENT.ip_version] === 6 ? 1 : 0;
    const counts = this.#flags;
    for (let i = 0; i < FLAG_BITS.length; i++) if (flags & FLAG_BITS[i]) counts[i * 2 + family]++;
    if (u32[(at + EVENT.held_packets) >>> 2] === 0) return;
    counts[ACK * 2 + family] += u32[(at + EVENT.held_ack) >>> 2];
    counts[PSH * 2 + family] += u32[(at + EVENT.held_psh) >>> 2];
    for (let i = 0; i < HELD_BYTES.length; i++) counts[HELD_BYTES[i][0] * 2 + family] += u8[at + HELD_BYTES[i][1]];
  }

  /** Reports so far, by protocol and observation point. */
  *events(): Iterable<{ protocol: string; subtype: string; value: number }> {
    for (const [p, protocol] of PROTOCOLS.entries()) {
      for (const [o, subtype] of POINTS.entries()) {
        yield { protocol, subtype, value: this.#events[p * POINTS.length + o] };
      }
    }
  }

  /** Packets and bytes so far, by direction and observation point. */
  *traffic(): Iterable<{ direction: string; observation_point: string; packets: number; bytes: number }> {
    for (const [d, direction] of DIRECTIONS.entries()) {
      for (const [o, observation_point] of POINTS.entries()) {
        const cell = d * POINTS.length + o;
        yield { direction, observation_point, packets: this.#packets[cell], bytes: this.#bytes[cell] };
      }
    }
  }

  /** TCP packets so far, by flag and IP family. */
  *tcpFlags(): Iterable<{ flag: string; family: string; value: number }> {
    for (const [f, flag] of FLAGS.entries()) {
      for (const [v, family] of FAMILIES.entries()) yield { flag, family, value: this.#flags[f * FAMILIES.length + v] };
    }
  }
}

/** Label values as Hubble's metrics spell them. */
const PROTOCOLS = ["TCP", "UDP", "SCTP", "ICMPv4", "ICMPv6", "other"];
const PROTOCOL_NUMBERS: readonly (readonly [number, string])[] = [
  [IpProtocol.TCP, "TCP"],
  [IpProtocol.UDP, "UDP"],
  [IpProtocol.SCTP, "SCTP"],
  [IpProtocol.ICMP, "ICMPv4"],
  [IpProtocol.ICMPV6, "ICMPv6"],
];
/** In the order of `enum observation_point`. */
const POINTS = ["from-endpoint", "to-endpoint", "from-network", "to-network"];
/** In the order of `enum traffic_direction`. */
const DIRECTIONS = ["unknown", "ingress", "egress"];
const FAMILIES = ["IPv4", "IPv6"];
const FLAGS = ["FIN", "SYN", "RST", "PSH", "ACK", "URG", "ECE", "CWR", "NS"] as const;
const FLAG_BITS = Uint16Array.from(FLAGS, (flag) => TcpFlag[flag]);
const PSH = FLAGS.indexOf("PSH");
const ACK = FLAGS.indexOf("ACK");
/** Flags whose held-back count is one byte: index in FLAGS, offset in the event. */
const HELD_BYTES = (["fin", "syn", "rst", "urg", "ece", "cwr", "ns"] as const)
  .map((name) => [FLAGS.findIndex((flag) => flag.toLowerCase() === name), EVENT[`held_${name}`]] as const);
