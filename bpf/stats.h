/* SPDX-License-Identifier: (GPL-2.0-only OR MIT) */
/*
 * stats.h - what the programs counted, one set per CPU.
 *
 * STATS is a per-CPU array of one element, struct stats; user space adds up
 * the CPUs. Every packet ends in exactly one place, so for the sum over all CPUs
 *
 *   PACKETS = EVENTS                           reported by an event of its own
 *           + NOT_IP + L2_TRUNCATED + L3_TRUNCATED + L4_TRUNCATED
 *           + BAD_HEADER + TOO_MANY_HEADERS    ignored
 *           + UNTRACKED_LOST                   gone: not tracked and the ring full
 *           + held back                        told by a later event of the direction, or
 *                                              still in the counters of a CONNTRACK entry
 */
#ifndef RETINA_STATS_H
#define RETINA_STATS_H

enum stat {
	STAT_PACKETS,		/* packets that reached a program */
	STAT_BYTES,		/* their bytes, link layer included */
	STAT_EVENTS,		/* events submitted */
	STAT_LOST,		/* events that found the ring full; their packets are held back, not lost */
	STAT_NOT_IP,		/* neither IPv4 nor IPv6 (ARP, LLDP, ...), not an error */
	STAT_L2_TRUNCATED,	/* no room for the link header or a VLAN tag */
	STAT_L3_TRUNCATED,	/* no room for the IP header, its options, an extension header or the length it claims */
	STAT_L4_TRUNCATED,	/* no room for the TCP, UDP, SCTP or ICMP header */
	STAT_BAD_HEADER,	/* a length or version field that cannot be: IHL < 5, total length < header, TCP offset < 5 */
	STAT_TOO_MANY_HEADERS,	/* more than two VLAN tags or more than eight IPv6 extension headers */
	STAT_CONNTRACK_CREATED, /* connections that got a new entry */
	STAT_CONNTRACK_RESTARTED, /* connections that took over an expired or closed entry */
	STAT_CONNTRACK_FAILED,	/* packets reported without tracking, because no entry could be made */
	STAT_UNTRACKED_LOST,	/* of them, those whose event found the ring full: the only packets not in any count */
	STAT_COUNT,
};

struct stats {
	__u64 counters[STAT_COUNT];
};

#endif /* RETINA_STATS_H */
