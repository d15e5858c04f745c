import { icmpv4Name, icmpv6Name } from "./icmp_names.ts";
import { EVENT, EventFlag, IpProtocol, TcpFlag } from "./record.ts";

/**
 * Flow.Summary: the text that Hubble's command line prints in parentheses. There are few different ones, so they are
 * made once and found again by a small number.
 *
 * | number | summary |
 * |---|---|
 * | 0..511 | TCP, by its flags |
 * | 512..517 | those of {@link FIXED} |
 * | 0x10000 + type × 256 + code | ICMPv4 |
 * | 0x20000 + type × 256 + code | ICMPv6 |
 */

/** Flags in the order in which Hubble prints them. */
const FLAGS = ["SYN", "ACK", "RST", "FIN", "PSH", "URG", "ECE", "CWR", "NS"] as const;
/** What is no TCP or ICMP. Hubble names the innermost header that it could read: the IP header of what it cannot. */
const FIXED = ["UDP", "SCTP", "IGMP", "VRRP", "IPv4", "IPv6"] as const;
const FIXED_FROM = 512;

/** Keys below this are dense enough for an array. */
export const DENSE_SUMMARIES = FIXED_FROM + FIXED.length;

function fixedKey(name: typeof FIXED[number]): number {
  return FIXED_FROM + FIXED.indexOf(name);
}

const UDP = fixedKey("UDP"), SCTP = fixedKey("SCTP"), IGMP = fixedKey("IGMP"), VRRP = fixedKey("VRRP");
const IPV4 = fixedKey("IPv4"), IPV6 = fixedKey("IPv6");

/** Number of the summary of the record at byte `at`. */
export function summaryKey(u8: Uint8Array, u16: Uint16Array, at: number): number {
  if ((u8[at + EVENT.event_flags] & EventFlag.FRAGMENT) === 0) {
    switch (u8[at + EVENT.protocol]) {
      case IpProtocol.TCP:
        return u16[(at + EVENT.tcp_flags) >>> 1] & 511;
      case IpProtocol.UDP:
        return UDP;
      case IpProtocol.ICMP:
        return 0x10000 | (u8[at + EVENT.icmp_type] << 8) | u8[at + EVENT.icmp_code];
      case IpProtocol.ICMPV6:
        return 0x20000 | (u8[at + EVENT.icmp_type] << 8) | u8[at + EVENT.icmp_code];
      case IpProtocol.SCTP:
        return SCTP;
      case IpProtocol.IGMP:
        return IGMP;
      case IpProtocol.VRRP:
        return VRRP;
    }
  }
  return u8[at + EVENT.ip_version] === 4 ? IPV4 : IPV6;
}

/** Text of a summary by its number. */
export function summaryText(key: number): string {
  const type = (key >>> 8) & 255, code = key & 255;
  if (key >= 0x20000) return `ICMPv6 ${icmpv6Name(type, code)}`;
  if (key >= 0x10000) return `ICMPv4 ${icmpv4Name(type, code)}`;
  if (key >= FIXED_FROM) return FIXED[key - FIXED_FROM];
  return `TCP Flags: ${FLAGS.filter((flag) => (key & TcpFlag[flag]) !== 0).join(", ")}`;
}
