/* SPDX-License-Identifier: (GPL-2.0-only OR MIT) */
/*
 * net.h - the headers that the parser reads, as they are on the wire.
 *
 * Own definitions instead of the kernel's: no bit fields, and no
 * dependency on more header packages than linux/bpf.h needs.
 */
#ifndef RETINA_NET_H
#define RETINA_NET_H

#define TC_ACT_UNSPEC (-1)

/* EtherTypes (IEEE 802). */
#define ETH_P_IP 0x0800
#define ETH_P_IPV6 0x86dd
#define ETH_P_8021Q 0x8100
#define ETH_P_8021AD 0x88a8

#define ETH_LENGTH 14
#define VLAN_LENGTH 4
#define VLAN_ID_MASK 0x0fff

/* IANA protocol numbers. */
#define PROTO_HOPOPTS 0
#define PROTO_ICMP 1
#define PROTO_TCP 6
#define PROTO_UDP 17
#define PROTO_ROUTING 43
#define PROTO_FRAGMENT 44
#define PROTO_AH 51
#define PROTO_ICMPV6 58
#define PROTO_DSTOPTS 60
#define PROTO_SCTP 132

#define ICMP_ECHO_REPLY 0
#define ICMP_ECHO_REQUEST 8
#define ICMPV6_ECHO_REQUEST 128
#define ICMPV6_ECHO_REPLY 129

/* RFC 791. */
struct ipv4_header {
	__u8 version_ihl;
	__u8 tos;
	__be16 total_length;
	__be16 id;
	__be16 fragment; /* 3 flag bits, 13 bits of offset in units of 8 bytes */
	__u8 ttl;
	__u8 protocol;
	__be16 checksum;
	__be32 source;
	__be32 destination;
};

#define IPV4_OFFSET_MASK 0x1fff

/* RFC 8200. The addresses are halves, so that a copy is two moves; packets are read unaligned, as x86-64 and arm64 can. */
struct ipv6_header {
	__be32 version_class_label;
	__be16 payload_length;
	__u8 next_header;
	__u8 hop_limit;
	__u64 source[2];
	__u64 destination[2];
};

#define IPV6_OFFSET_MASK 0xfff8

/* The start of an IPv6 extension header; the fragment header has its offset in the second word. */
struct ipv6_extension {
	__u8 next_header;
	__u8 length; /* in units of 8 bytes beyond the first 8; AH: units of 4 bytes, less 2 */
	__be16 fragment;
};

/* RFC 9293. */
struct tcp_header {
	__be16 source;
	__be16 destination;
	__be32 seq;
	__be32 ack;
	__u8 offset_ns; /* 4 bits: length in words; bit 0: NS */
	__u8 flags;
	__be16 window;
	__be16 checksum;
	__be16 urgent;
};

/* UDP and SCTP begin alike. */
struct ports_header {
	__be16 source;
	__be16 destination;
};

#define UDP_LENGTH 8
#define SCTP_LENGTH 12

/* RFC 792, RFC 4443: the first eight bytes. */
struct icmp_header {
	__u8 type;
	__u8 code;
	__be16 checksum;
	__be16 id; /* of an echo */
	__be16 sequence;
};

/* TCP option kinds (RFC 9293, RFC 7323). */
#define TCP_OPTION_END 0
#define TCP_OPTION_NOP 1
#define TCP_OPTION_TIMESTAMP 8
#define TCP_TIMESTAMP_LENGTH 10

#endif /* RETINA_NET_H */
