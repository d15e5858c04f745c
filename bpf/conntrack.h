/* SPDX-License-Identifier: (GPL-2.0-only OR MIT) */
/*
 * conntrack.h - key and value of the CONNTRACK map, shared with the collector in user space.
 *
 * One entry holds both directions of a connection as one interface sees it.
 * The two ends are "low" and "high" by a fixed order of (address, port), so
 * that packets both ways build the same key and need one look-up; the entry
 * says which end is the initiator. State per direction is indexed by the end
 * that sends: 0 is low, 1 is high. A wrong guess of the initiator is mended
 * by changing one byte.
 *
 * Counters that two CPUs may touch at once are only added to, never stored.
 * A report reads a held-back counter, emits max(0, h) and adds -h: if two CPUs
 * report the same packets the counter goes below zero and packets held
 * back later repay the debt, so that the sum over all events stays exact.
 */
#ifndef RETINA_CONNTRACK_H
#define RETINA_CONNTRACK_H

/* 48 bytes: as quick to hash as 44 (jhash2 takes 12 bytes a round). */
struct conntrack_key {
	__u64 low_addr[2];  /*  0 network byte order, IPv4 as ::ffff:a.b.c.d */
	__u64 high_addr[2]; /* 16 network byte order, IPv4 as ::ffff:a.b.c.d */
	/*
	 * Host byte order. ICMP echo has its identifier in both; other ICMP has
	 * type << 8 | code and its complement, which no echo can have; protocols
	 * without ports and later fragments have zeros.
	 */
	__u16 low_port;	    /* 32 */
	__u16 high_port;    /* 34 */
	__u32 ifindex;	    /* 36 */
	__u16 vlan_id;	    /* 40 */
	__u8 protocol;	    /* 42 */
	__u8 reserved[5];   /* 43 zero */
};

/* What one end has sent. 64 bytes: a cache line's worth. */
struct conntrack_side {
	__u64 bytes;		/*  0 ever counted here; never reset */
	__u64 reported_bytes;	/*  8 of them in events; bytes - reported_bytes is held back (signed) */
	__u64 start_bytes;	/* 16 value of bytes when the present connection began */
	__u64 held_packets_ack; /* 24 held-back packets << 32, plus those with ACK (both signed) */
	__u64 held_psh_ns;	/* 32 held-back PSH << 32, plus NS (both signed) */
	__u64 held_rare;	/* 40 held-back FIN, SYN, RST, URG, ECE, CWR: signed lanes of RARE_BITS bits, FIN lowest */
	__u64 next_report_ns;	/* 48 the first packet from then on is reported; 0: the very next */
	__u32 reported_packets; /* 56 packets in events; + held-back packets - start_packets is the connection's total */
	__u32 start_packets;	/* 60 reported + held-back packets when the present connection began */
};

enum conntrack_state {
	CONNTRACK_OPEN = 0,
	CONNTRACK_CLOSED = 1,	/* ended, but no event has said so yet */
	CONNTRACK_REPORTED = 2, /* ended, and EVENT_CLOSED was sent */
};

/* Bits of conntrack_entry.initiator. */
enum conntrack_initiator {
	INITIATOR_HIGH = 0x01,	  /* the high end opened the connection */
	INITIATOR_GUESSED = 0x02, /* nobody saw it open: the end with the higher port */
};

struct conntrack_entry {
	__u64 expires_ns;	       /*  0 clock of packet_event.ts_ns (CLOCK_MONOTONIC in the perf variant) */
	__u16 flags_seen[2];	       /*  8 TCP flags seen from each end */
	__u8 fin_seen[2];	       /* 12 1 once that end sent FIN; a byte each, so that two CPUs can set them at once */
	__u8 initiator;		       /* 14 enum conntrack_initiator bits */
	__u8 state;		       /* 15 enum conntrack_state */
	struct conntrack_side side[2]; /* 16 */
};

#define RARE_BITS 10
/* Rare flags stop counting here (the event's fields are bytes); far from the lane's limit, so a race cannot carry over. */
#define RARE_MAX 255

#endif /* RETINA_CONNTRACK_H */
