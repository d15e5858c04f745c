import assert from "node:assert/strict";
import { EventFlag, IpProtocol, TcpFlag } from "./record.ts";
import { summaryKey, summaryText } from "./summary.ts";
import { event, type EventFields } from "./test_support.ts";

function summary(fields: EventFields): string {
  const { buffer } = event({ ip_version: 4, ...fields });
  return summaryText(summaryKey(new Uint8Array(buffer), new Uint16Array(buffer), 0));
}

Deno.test("a summary reads as Hubble's", () => {
  const { TCP, UDP, SCTP, ICMP, ICMPV6, IGMP, VRRP } = IpProtocol;
  const cases: [EventFields, string][] = [
    [{ protocol: TCP, tcp_flags: TcpFlag.SYN }, "TCP Flags: SYN"],
    [{ protocol: TCP, tcp_flags: TcpFlag.ACK | TcpFlag.SYN }, "TCP Flags: SYN, ACK"],
    [{ protocol: TCP, tcp_flags: 511 }, "TCP Flags: SYN, ACK, RST, FIN, PSH, URG, ECE, CWR, NS"],
    [{ protocol: TCP, tcp_flags: 0 }, "TCP Flags: "],
    [{ protocol: UDP }, "UDP"],
    [{ protocol: SCTP }, "SCTP"],
    [{ protocol: IGMP }, "IGMP"],
    [{ protocol: VRRP }, "VRRP"],
    [{ protocol: ICMP, icmp_type: 8 }, "ICMPv4 EchoRequest"],
    [{ protocol: ICMP, icmp_type: 0 }, "ICMPv4 EchoReply"],
    [{ protocol: ICMP, icmp_type: 3, icmp_code: 3 }, "ICMPv4 DestinationUnreachable(Port)"],
    [{ protocol: ICMP, icmp_type: 5, icmp_code: 2 }, "ICMPv4 Redirect(TOS+Net)"],
    [{ protocol: ICMP, icmp_type: 8, icmp_code: 1 }, "ICMPv4 EchoRequest(Code: 1)"],
    [{ protocol: ICMP, icmp_type: 11, icmp_code: 9 }, "ICMPv4 TimeExceeded(Code: 9)"],
    [{ protocol: ICMP, icmp_type: 42, icmp_code: 7 }, "ICMPv4 42(7)"],
    [{ protocol: ICMPV6, icmp_type: 128 }, "ICMPv6 EchoRequest"],
    [{ protocol: ICMPV6, icmp_type: 135 }, "ICMPv6 NeighborSolicitation"],
    [{ protocol: ICMPV6, icmp_type: 1, icmp_code: 4 }, "ICMPv6 DestinationUnreachable(PortUnreachable)"],
    [{ protocol: ICMPV6, icmp_type: 143 }, "ICMPv6 143(0)"],
    [{ protocol: 47 }, "IPv4"],
    [{ protocol: 47, ip_version: 6 }, "IPv6"],
    [{ protocol: TCP, event_flags: EventFlag.FRAGMENT }, "IPv4"],
    [{ protocol: UDP, ip_version: 6, event_flags: EventFlag.FRAGMENT }, "IPv6"],
  ];
  for (const [fields, text] of cases) assert.equal(summary(fields), text, JSON.stringify(fields));
});
