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

/*
 * What one end has sent, 56 bytes. "Held back" is what no event has told yet.
 * One addition counts a packet with its bytes and a second one its PSH: a
 * locked addition is a tenth of the cost of a packet.
 *
 * Totals of the connection are reported + spilled + held back.
 */
struct conntrack_side {
	__u64 held;		/*  0 held-back packets << HELD_BYTES_BITS, plus their bytes (lanes, both signed) */
	__u64 held_flags;	/*  8 of them: PSH << 32, plus TCP without ACK << 16, plus NS (lanes, all signed) */
	__u64 held_rare;	/* 16 of them: FIN, SYN, RST, URG, ECE, CWR: signed lanes of RARE_BITS bits, FIN lowest */
	__u64 spilled_bytes;	/* 24 held-back bytes that no longer fit the lane, because the ring was full for long */
	__u64 reported_bytes;	/* 32 in events of the present connection */
	__u64 next_report_ns;	/* 40 CLOCK_MONOTONIC: the first packet from then on is reported; 0: the very next */
	__u32 reported_packets; /* 48 in events of the present connection */
	__u32 spilled_packets;	/* 52 as spilled_bytes */
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
	/* Where the packets were seen, for the collector's last report: */
	INSIDE_HIGH = 0x04,	  /* the high end is the pod or node behind the interface; its packets leave it */
	INSIDE_NODE = 0x08,	  /* the interface is a device of the node, not a pod's */
};

struct conntrack_entry {
	__u64 expires_ns;	       /*  0 CLOCK_MONOTONIC, in both variants */
	__u16 flags_seen[2];	       /*  8 TCP flags seen from each end */
	__u8 fin_seen[2];	       /* 12 1 once that end sent FIN; a byte each, so that two CPUs can set them at once */
	__u8 initiator;		       /* 14 enum conntrack_initiator bits */
	__u8 state;		       /* 15 enum conntrack_state */
	struct conntrack_side side[2]; /* 16 */
};

#define HELD_BYTES_BITS 36
#define HELD_BYTES_MASK ((1ULL << HELD_BYTES_BITS) - 1)
#define RARE_BITS 10
/* Rare flags stop counting here (the event's fields are bytes); far from the lane's limit, so a race cannot carry over. */
#define RARE_MAX 255

#endif /* RETINA_CONNTRACK_H */
