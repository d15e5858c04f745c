import { type Flow, type FlowFilter, IPVersion, type Layer4, type TCPFlags } from "../../../proto/gen/flow/flow_pb.ts";
import { EVENT, EventFlag, IpProtocol, TcpFlag } from "../record.ts";
import type { FlowView } from "../view.ts";
import { FilterError, quote, within } from "./error.ts";
import { bothSides, type Predicate, type RecordTest, type Side } from "./predicate.ts";
import { toLower } from "./text.ts";

type Layer4Case = Layer4["protocol"]["case"];

/** Words of the protocol field that name something above IP: what a message says, and the number in a record or 0. */
const LAYER4: Record<string, readonly [Layer4Case, number][]> = {
  icmp: [["ICMPv4", IpProtocol.ICMP], ["ICMPv6", IpProtocol.ICMPV6]],
  icmpv4: [["ICMPv4", IpProtocol.ICMP]],
  icmpv6: [["ICMPv6", IpProtocol.ICMPV6]],
  tcp: [["TCP", IpProtocol.TCP]],
  udp: [["UDP", IpProtocol.UDP]],
  sctp: [["SCTP", IpProtocol.SCTP]],
  // Records say nothing of these two: their flows have no l4.
  vrrp: [["VRRP", 0]],
  igmp: [["IGMP", 0]],
};
const LAYER7 = new Set(["dns", "http", "kafka"]);

/** The protocol above IP that a record's flow has; 0, which is none of ours, where its header was not seen. */
function layer4(view: FlowView): number {
  const { u8, at } = view;
  return (u8[at + EVENT.event_flags] & EventFlag.FRAGMENT) === 0 ? u8[at + EVENT.protocol] : 0;
}

/** protocol: case does not count. */
export function compileProtocols(filter: FlowFilter): Predicate[] {
  if (filter.protocol.length === 0) return [];
  const cases = new Set<Layer4Case>(), records = new Set<string>(), numbers = new Uint8Array(256);
  for (const value of filter.protocol) {
    const word = toLower(value);
    if (LAYER7.has(word)) records.add(word);
    else if (Object.hasOwn(LAYER4, word)) {
      for (const [name, number] of LAYER4[word]) {
        cases.add(name);
        if (number !== 0) numbers[number] = 1;
      }
    } else throw new FilterError(`invalid protocol filter: unknown protocol: ${quote(value)}`);
  }
  return [{
    flow: (flow) => {
      const l7 = flow.l7?.record.case;
      return cases.has(flow.l4?.protocol.case) || l7 !== undefined && records.has(l7);
    },
    record: numbers.includes(1) ? (view) => numbers[layer4(view)] === 1 : false,
  }];
}

/** Protocols with ports; 1 by IANA number. */
const HAS_PORTS = new Uint8Array(256);
for (const number of [IpProtocol.TCP, IpProtocol.UDP, IpProtocol.SCTP]) HAS_PORTS[number] = 1;

function parsePorts(values: readonly string[]): ReadonlySet<number> {
  return new Set(values.map((value) => {
    const because = (message: string) =>
      new FilterError(`invalid port ${quote(value)}: strconv.ParseUint: parsing ${quote(value)}: ${message}`);
    if (!/^\d+$/.test(value)) throw because("invalid syntax");
    if (Number(value) > 0xffff) throw because("value out of range");
    return Number(value);
  }));
}

function portOf(flow: Flow, side: Side): number | undefined {
  const protocol = flow.l4?.protocol;
  switch (protocol?.case) {
    case "TCP":
    case "UDP":
    case "SCTP":
      // Hubble cuts the message's 32 bits to a port's 16.
      return (side === "source" ? protocol.value.sourcePort : protocol.value.destinationPort) & 0xffff;
    default:
      return undefined;
  }
}

function portTest(ports: ReadonlySet<number>, field: number): RecordTest {
  const wanted = new Uint8Array(0x10000);
  for (const port of ports) wanted[port] = 1;
  return (view) => wanted[view.u16[(view.at + field) >>> 1]] === 1 && HAS_PORTS[layer4(view)] === 1;
}

/** source_port, destination_port: only TCP, UDP and SCTP flows have one. */
export function compilePorts(filter: FlowFilter): Predicate[] {
  return bothSides(filter.sourcePort, filter.destinationPort, (values, side) => {
    const ports = within(`invalid ${side} port filter`, () => parsePorts(values));
    return {
      flow: (flow) => {
        const port = portOf(flow, side);
        return port !== undefined && ports.has(port);
      },
      record: portTest(ports, side === "source" ? EVENT.src_port : EVENT.dst_port),
    };
  });
}

function flagBits(flags: TCPFlags): number {
  return (flags.FIN ? TcpFlag.FIN : 0) | (flags.SYN ? TcpFlag.SYN : 0) | (flags.RST ? TcpFlag.RST : 0) |
    (flags.PSH ? TcpFlag.PSH : 0) | (flags.ACK ? TcpFlag.ACK : 0) | (flags.URG ? TcpFlag.URG : 0) |
    (flags.ECE ? TcpFlag.ECE : 0) | (flags.CWR ? TcpFlag.CWR : 0) | (flags.NS ? TcpFlag.NS : 0);
}

/** tcp_flags: every flag of an entry must be set, others may be; the empty entry is any TCP flow. */
export function compileTcpFlags(filter: FlowFilter): Predicate[] {
  if (filter.tcpFlags.length === 0) return [];
  const wanted = [...new Set(filter.tcpFlags.map(flagBits))];
  const test = (bits: number) => {
    for (let i = 0; i < wanted.length; i++) if ((bits & wanted[i]) === wanted[i]) return true;
    return false;
  };
  return [{
    flow: ({ l4 }) => {
      const flags = l4?.protocol.case === "TCP" ? l4.protocol.value.flags : undefined;
      return flags !== undefined && test(flagBits(flags));
    },
    record: (view) => layer4(view) === IpProtocol.TCP && test(view.u16[(view.at + EVENT.tcp_flags) >>> 1]),
  }];
}

/** ip_version: a flow without IP has version 0. */
export function compileIpVersions(filter: FlowFilter): Predicate[] {
  if (filter.ipVersion.length === 0) return [];
  const set = new Set(filter.ipVersion);
  const v4 = set.has(IPVersion.IPv4), v6 = set.has(IPVersion.IPv6);
  return [{
    flow: (flow) => set.has(flow.IP?.ipVersion ?? IPVersion.IP_NOT_USED),
    record: v4 === v6 ? v4 : (view) => (view.u8[view.at + EVENT.ip_version] === 4) === v4,
  }];
}
