/* SPDX-License-Identifier: (GPL-2.0-only OR MIT) */
/*
 * packet_event.h - the only ABI between the eBPF programs and user space.
 *
 * Every event in the EVENTS ring starts with one struct packet_event. Multi-byte
 * fields are in the byte order of the machine unless the field says otherwise,
 * so user space on the same node reads them as they stand. src/flow/record.ts
 * holds the same offsets; a test compares the two through BTF.
 */
#ifndef RETINA_PACKET_EVENT_H
#define RETINA_PACKET_EVENT_H

/* Where a packet was seen. */
enum observation_point {
	OBS_FROM_ENDPOINT = 0, /* TC ingress on the host side of a pod's veth: the pod sent it */
	OBS_TO_ENDPOINT = 1,   /* TC egress on the host side of a pod's veth: the pod receives it */
	OBS_FROM_NETWORK = 2,  /* TC ingress on a device of the node */
	OBS_TO_NETWORK = 3,    /* TC egress on a device of the node */
};

/* The direction of the connection, seen from the endpoint (or the node) behind the interface. */
enum traffic_direction {
	DIR_UNKNOWN = 0,
	DIR_INGRESS = 1,
	DIR_EGRESS = 2,
};

/* Whether a packet goes from the connection's initiator to its responder or back. */
enum reply_state {
	REPLY_NO = 0,
	REPLY_YES = 1,
	REPLY_UNKNOWN = 2, /* not tracked */
};

/* TCP header flags, as in RFC 9293 section 3.1; NS is bit 8 (RFC 3540, AE in RFC 9768). */
enum tcp_flag {
	TCP_FIN = 0x001,
	TCP_SYN = 0x002,
	TCP_RST = 0x004,
	TCP_PSH = 0x008,
	TCP_ACK = 0x010,
	TCP_URG = 0x020,
	TCP_ECE = 0x040,
	TCP_CWR = 0x080,
	TCP_NS = 0x100,
};

/*
 * One reported packet. 128 bytes, 8-byte aligned.
 *
 * "Held back" are packets of this connection and direction that conntrack did
 * not report since the last event of the same direction; this packet is not
 * among them. Totals count the connection from its first packet on and include
 * this packet. TX is the initiator's direction, RX the responder's.
 */
struct packet_event {
	__u64 ts_ns;		  /*   0 CLOCK_BOOTTIME, nanoseconds; CLOCK_MONOTONIC in the perf variant */
	__u8 src_addr[16];	  /*   8 network byte order; IPv4 as ::ffff:a.b.c.d */
	__u8 dst_addr[16];	  /*  24 network byte order; IPv4 as ::ffff:a.b.c.d */
	__u32 bytes;		  /*  40 frame length in bytes, link layer included (skb->len) */
	__u32 ifindex;		  /*  44 interface that the program is attached to */
	__u16 src_port;		  /*  48 TCP, UDP, SCTP port; 0 where there is none */
	__u16 dst_port;		  /*  50 as src_port */
	__u16 tcp_flags;	  /*  52 enum tcp_flag bits; 0 unless TCP */
	__u16 vlan_id;		  /*  54 outermost VLAN id, 1..4094; 0 means untagged */
	__u8 protocol;		  /*  56 IANA protocol number of the upper layer */
	__u8 ip_version;	  /*  57 4 or 6 */
	__u8 observation_point;	  /*  58 enum observation_point */
	__u8 traffic_direction;	  /*  59 enum traffic_direction */
	__u8 is_reply;		  /*  60 enum reply_state */
	__u8 icmp_type;		  /*  61 ICMP or ICMPv6 type; 0 unless one of them */
	__u8 icmp_code;		  /*  62 ICMP or ICMPv6 code; 0 unless one of them */
	__u8 event_flags;	  /*  63 enum packet_event_flag bits */
	__u32 tcp_seq;		  /*  64 sequence number; 0 unless TCP */
	__u32 tcp_ack;		  /*  68 acknowledgement number; 0 unless TCP with ACK */
	__u32 tcp_tsval;	  /*  72 timestamp option's TSval (RFC 7323); valid with EVENT_TCP_TIMESTAMP */
	__u32 tcp_tsecr;	  /*  76 timestamp option's TSecr; valid with EVENT_TCP_TIMESTAMP */
	__u64 total_bytes_tx;	  /*  80 bytes of the connection, initiator to responder */
	__u64 total_bytes_rx;	  /*  88 bytes of the connection, responder to initiator */
	__u32 total_packets_tx;	  /*  96 packets of the connection, initiator to responder */
	__u32 total_packets_rx;	  /* 100 packets of the connection, responder to initiator */
	__u32 held_packets;	  /* 104 packets held back; a report is forced before it can overflow */
	__u32 held_bytes;	  /* 108 bytes held back; a report is forced before it can overflow */
	__u32 held_ack;		  /* 112 held-back packets with ACK */
	__u32 held_psh;		  /* 116 held-back packets with PSH */
	__u8 held_fin;		  /* 120 as held_ack, for FIN; saturates at 255 (these are held back only while the ring is full) */
	__u8 held_syn;		  /* 121 SYN, as held_fin */
	__u8 held_rst;		  /* 122 RST, as held_fin */
	__u8 held_urg;		  /* 123 URG, as held_fin */
	__u8 held_ece;		  /* 124 ECE, as held_fin */
	__u8 held_cwr;		  /* 125 CWR, as held_fin */
	__u8 held_ns;		  /* 126 NS; a report is forced at 255 */
	__u8 reserved;		  /* 127 zero */
};

enum packet_event_flag {
	EVENT_TCP_TIMESTAMP = 0x01, /* tcp_tsval and tcp_tsecr come from the packet */
	EVENT_ETHERNET = 0x02,	    /* a struct packet_ethernet follows the event */
	EVENT_FRAGMENT = 0x04,	    /* an IP fragment other than the first: no ports, no upper-layer header */
	EVENT_CLOSED = 0x08,	    /* this packet ended the connection: RST, or the last ACK after both FIN */
};

/* Tail of an event on a device with an Ethernet header. 16 bytes. */
struct packet_ethernet {
	__u8 destination[6]; /* as on the wire */
	__u8 source[6];	     /* as on the wire */
	__u8 reserved[4];    /* zero; keeps the ring record a multiple of eight bytes */
};

#endif /* RETINA_PACKET_EVENT_H */
