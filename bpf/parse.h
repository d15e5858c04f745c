/* SPDX-License-Identifier: (GPL-2.0-only OR MIT) */
/*
 * parse.h - from a packet to its key and the fields that conntrack needs.
 *
 * Headers are read by direct packet access where they are linear, which is
 * nearly always, and by bpf_skb_load_bytes where they are not (drivers that
 * leave all but the Ethernet header in page fragments). Nothing pulls data:
 * that would change the packet for those after us.
 */
#ifndef RETINA_PARSE_H
#define RETINA_PARSE_H

#include "conntrack.h"
#include "net.h"
#include "packet_event.h"
#include "stats.h"

#define likely(x) __builtin_expect(!!(x), 1)
#define unlikely(x) __builtin_expect(!!(x), 0)

/* IPv6 extension headers that are walked; real traffic has at most three. */
#define MAX_EXTENSIONS 8

/* Upper bound of an offset that the walk can reach; lets the verifier bound packet pointers. */
#define MAX_OFFSET 0x7fff

#define struct_group(name, fields...) \
	union { \
		struct { fields }; \
		__u64 name[3]; \
	}

/* A parsed packet. What only an event needs is left in the packet until there is one. */
struct packet {
	union {
		struct conntrack_key key;
		/*
		 * The key is written and hashed in whole words: a word put together from
		 * smaller stores would stall the loads of the hash.
		 */
		__u64 words[6];
	};
	__u64 now;
	__u32 bytes;
	__u32 l4_offset;
	/* Fields that not every packet has: cleared in one go. */
	struct_group(optional,
		__u32 tcp_seq; /* network byte order */
		__u32 tcp_ack; /* network byte order */
		__u16 src_port;
		__u16 dst_port;
		__u16 tcp_flags;
		__u8 icmp_type;
		__u8 icmp_code;
		__u8 tcp_length; /* of the header, in bytes; 0: no TCP header */
		__u8 is_answer;	 /* an ICMP echo reply: the other end asked */
		__u8 event_flags;
		__u8 ip_version;
		__u8 side;		/* the end that sent it: 0 low, 1 high */
		__u8 observation_point;
		__u8 reserved[2];
	);
};

/* Room for a header that is not linear. */
union scratch {
	__u64 align;
	__u8 mac[ETH_LENGTH];
	struct ipv4_header ipv4;
	struct ipv6_header ipv6;
	struct tcp_header tcp;
};

/* length bytes at offset: in place when linear, else copied to buffer; NULL when the packet ends before. */
static __always_inline void *header_at(struct __sk_buff *skb, __u32 offset, __u32 length, void *buffer)
{
	void *start = (void *)(long)skb->data + offset;
	void *end = (void *)(long)skb->data_end;

	if (likely(start + length <= end))
		return start;
	if (bpf_skb_load_bytes(skb, offset, buffer, length))
		return 0;
	return buffer;
}

/* Where the upper layer starts and which one it is. */
struct upper {
	__u32 offset;
	__u32 end; /* of the IP packet; what follows is Ethernet padding */
	__u8 protocol;
	__u8 is_later_fragment;
};

/* What walk_extensions returns: offset of the upper layer << 32, then these bits, then a byte for a reason to stop. */
#define WALK_PROTOCOL_SHIFT 8
#define WALK_LATER_FRAGMENT (1 << 16)

/*
 * Walks IPv6 extension headers from offset, where header number next is. Not
 * static and with scalar arguments: the verifier then looks at it once, not at each call.
 */
__noinline __u64 walk_extensions(struct __sk_buff *skb, __u32 offset, __u32 end, __u32 next)
{
#pragma unroll
	for (int i = 0; i <= MAX_EXTENSIONS; i++) {
		struct ipv6_extension header = {};
		__u32 length;

		if (next != PROTO_HOPOPTS && next != PROTO_ROUTING && next != PROTO_DSTOPTS &&
		    next != PROTO_FRAGMENT && next != PROTO_AH)
			return (__u64)offset << 32 | (next & 255) << WALK_PROTOCOL_SHIFT;
		if (i == MAX_EXTENSIONS)
			return STAT_TOO_MANY_HEADERS;
		if (offset + 8 > end || bpf_skb_load_bytes(skb, offset, &header, sizeof(header)))
			return STAT_L3_TRUNCATED;
		length = 8 + (__u32)header.length * 8;
		if (next == PROTO_AH) {
			length = 8 + (__u32)header.length * 4;
		} else if (next == PROTO_FRAGMENT) {
			length = 8;
			if (header.fragment & bpf_htons(IPV6_OFFSET_MASK))
				return (__u64)(offset + length) << 32 | WALK_LATER_FRAGMENT |
				       header.next_header << WALK_PROTOCOL_SHIFT;
		}
		next = header.next_header;
		offset += length;
		if (offset > end)
			return STAT_L3_TRUNCATED;
	}
	return STAT_TOO_MANY_HEADERS;
}

/* No EtherType: the packet is too short. */
#define ETHERTYPE_NONE 0x10000

/* The EtherType behind the MAC addresses and VLAN tags, or ETHERTYPE_NONE; sets *offset behind it. */
static __always_inline __u32 parse_ethernet(struct __sk_buff *skb, __u32 *offset, __u16 *vlan_id)
{
	union scratch scratch;
	__be16 *type = header_at(skb, 12, 2, &scratch);
	__u32 ethertype;

	if (!type)
		return ETHERTYPE_NONE;
	ethertype = bpf_ntohs(*type);
	*offset = ETH_LENGTH;
#pragma unroll
	for (int i = 0; i < 2; i++) {
		__be16 *tag;

		if (likely(ethertype != ETH_P_8021Q && ethertype != ETH_P_8021AD))
			break;
		tag = header_at(skb, *offset, VLAN_LENGTH, &scratch);
		if (!tag)
			return ETHERTYPE_NONE;
		if (!*vlan_id)
			*vlan_id = bpf_ntohs(tag[0]) & VLAN_ID_MASK;
		ethertype = bpf_ntohs(tag[1]);
		*offset += VLAN_LENGTH;
	}
	return ethertype;
}

/* Ports, flags and ICMP fields. Returns 0 or the reason to ignore the packet. */
static __always_inline int parse_upper(struct __sk_buff *skb, struct packet *packet, struct upper upper,
				       __u16 *key_src, __u16 *key_dst)
{
	__u32 offset = upper.offset & MAX_OFFSET;
	union scratch scratch;

	if (unlikely(upper.is_later_fragment)) {
		packet->event_flags |= EVENT_FRAGMENT;
		return 0;
	}
	switch (upper.protocol) {
	case PROTO_TCP: {
		struct tcp_header *tcp = header_at(skb, offset, sizeof(*tcp), &scratch);
		__u32 length;

		if (!tcp || offset + sizeof(*tcp) > upper.end)
			return STAT_L4_TRUNCATED;
		length = (tcp->offset_ns >> 4) * 4;
		if (length < sizeof(*tcp))
			return STAT_BAD_HEADER;
		if (offset + length > upper.end)
			return STAT_L4_TRUNCATED;
		packet->tcp_length = length;
		packet->tcp_flags = tcp->flags | (__u16)(tcp->offset_ns & 1) << 8;
		packet->tcp_seq = tcp->seq;
		packet->tcp_ack = tcp->ack;
		*key_src = packet->src_port = bpf_ntohs(tcp->source);
		*key_dst = packet->dst_port = bpf_ntohs(tcp->destination);
		return 0;
	}
	case PROTO_UDP:
	case PROTO_SCTP: {
		__u32 length = upper.protocol == PROTO_UDP ? UDP_LENGTH : SCTP_LENGTH;
		struct ports_header *ports = header_at(skb, offset, sizeof(*ports), &scratch);

		if (!ports || offset + length > upper.end)
			return STAT_L4_TRUNCATED;
		*key_src = packet->src_port = bpf_ntohs(ports->source);
		*key_dst = packet->dst_port = bpf_ntohs(ports->destination);
		return 0;
	}
	case PROTO_ICMP:
	case PROTO_ICMPV6: {
		struct icmp_header *icmp = header_at(skb, offset, sizeof(*icmp), &scratch);
		__u8 request = upper.protocol == PROTO_ICMP ? ICMP_ECHO_REQUEST : ICMPV6_ECHO_REQUEST;
		__u8 reply = upper.protocol == PROTO_ICMP ? ICMP_ECHO_REPLY : ICMPV6_ECHO_REPLY;

		if (!icmp || offset + sizeof(*icmp) > upper.end)
			return STAT_L4_TRUNCATED;
		packet->icmp_type = icmp->type;
		packet->icmp_code = icmp->code;
		if (icmp->type == request || icmp->type == reply) {
			*key_src = *key_dst = bpf_ntohs(icmp->id);
			packet->is_answer = icmp->type == reply;
		} else {
			*key_src = (__u16)icmp->type << 8 | icmp->code;
			*key_dst = ~*key_src;
		}
		return 0;
	}
	default:
		return 0;
	}
}

/*
 * Fills packet. Returns 0 or the reason to ignore the packet (enum stat).
 * has_ethernet is a constant of the program: whether the device has a link
 * header cannot be told from the packet with certainty (a raw IPv4
 * packet from 8.0.0.0/16 reads as Ethernet with EtherType 0x0800), so the loader
 * attaches the *_l3 programs to devices without one.
 */
static __always_inline int parse(struct __sk_buff *skb, struct packet *packet, int has_ethernet)
{
	__u64 source[2] = {}, destination[2] = {};
	__u16 key_src = 0, key_dst = 0, vlan_id = 0;
	struct upper upper = {};
	union scratch scratch;
	__u32 offset = 0;
	__u32 length = skb->len;
	int is_ipv6, reason;

	packet->optional[0] = packet->optional[1] = packet->optional[2] = 0;
	packet->bytes = length;
	if (unlikely(skb->vlan_present))
		vlan_id = skb->vlan_tci & VLAN_ID_MASK;
	if (has_ethernet) {
		__u32 ethertype = parse_ethernet(skb, &offset, &vlan_id);

		if (ethertype == ETH_P_IP)
			is_ipv6 = 0;
		else if (ethertype == ETH_P_IPV6)
			is_ipv6 = 1;
		else if (ethertype == ETHERTYPE_NONE)
			return STAT_L2_TRUNCATED;
		else if (ethertype == ETH_P_8021Q || ethertype == ETH_P_8021AD)
			return STAT_TOO_MANY_HEADERS;
		else
			return STAT_NOT_IP;
	} else {
		__u8 *first = header_at(skb, 0, 1, &scratch);

		if (!first)
			return STAT_L3_TRUNCATED;
		is_ipv6 = *first >> 4 == 6;
		if (!is_ipv6 && *first >> 4 != 4)
			return STAT_NOT_IP;
	}

	if (!is_ipv6) {
		struct ipv4_header *ip = header_at(skb, offset, sizeof(*ip), &scratch);
		__u32 header_length, total;

		if (!ip)
			return STAT_L3_TRUNCATED;
		header_length = (ip->version_ihl & 15) * 4;
		total = bpf_ntohs(ip->total_length);
		if (!total) /* larger than 64 KiB before segmentation */
			total = length - offset;
		if (ip->version_ihl >> 4 != 4 || header_length < sizeof(*ip) || total < header_length)
			return STAT_BAD_HEADER;
		upper.end = offset + total;
		if (upper.end > length)
			return STAT_L3_TRUNCATED;
		upper.offset = offset + header_length;
		upper.protocol = ip->protocol;
		upper.is_later_fragment = !!(ip->fragment & bpf_htons(IPV4_OFFSET_MASK));
		source[1] = (__u64)ip->source << 32 | 0xffff0000;
		destination[1] = (__u64)ip->destination << 32 | 0xffff0000;
		packet->ip_version = 4;
	} else {
		struct ipv6_header *ip = header_at(skb, offset, sizeof(*ip), &scratch);
		__u32 payload;

		if (!ip)
			return STAT_L3_TRUNCATED;
		if ((*(__u8 *)ip >> 4) != 6)
			return STAT_BAD_HEADER;
		payload = bpf_ntohs(ip->payload_length);
		upper.offset = offset + sizeof(*ip);
		upper.end = payload ? upper.offset + payload : length; /* 0: a jumbogram, or larger than 64 KiB */
		if (upper.end > length)
			return STAT_L3_TRUNCATED;
		upper.protocol = ip->next_header;
		source[0] = ip->source[0];
		source[1] = ip->source[1];
		destination[0] = ip->destination[0];
		destination[1] = ip->destination[1];
		packet->ip_version = 6;
		if (unlikely(upper.protocol != PROTO_TCP && upper.protocol != PROTO_UDP)) {
			__u64 walk = walk_extensions(skb, upper.offset, upper.end, upper.protocol);

			if (walk & 255)
				return walk & 255;
			upper.offset = walk >> 32;
			upper.protocol = walk >> WALK_PROTOCOL_SHIFT;
			upper.is_later_fragment = !!(walk & WALK_LATER_FRAGMENT);
		}
	}

	packet->l4_offset = upper.offset;
	reason = parse_upper(skb, packet, upper, &key_src, &key_dst);
	if (unlikely(reason))
		return reason;

	/* Any order will do, as long as both directions agree: compare the halves as they lie in memory. */
	if (source[1] != destination[1])
		packet->side = source[1] > destination[1];
	else if (source[0] != destination[0])
		packet->side = source[0] > destination[0];
	else
		packet->side = key_src > key_dst;
	if (packet->side) {
		packet->words[0] = destination[0];
		packet->words[1] = destination[1];
		packet->words[2] = source[0];
		packet->words[3] = source[1];
		packet->words[4] = key_dst | (__u32)key_src << 16;
	} else {
		packet->words[0] = source[0];
		packet->words[1] = source[1];
		packet->words[2] = destination[0];
		packet->words[3] = destination[1];
		packet->words[4] = key_src | (__u32)key_dst << 16;
	}
	packet->words[4] |= (__u64)skb->ifindex << 32;
	packet->words[5] = vlan_id | (__u32)upper.protocol << 16;
	return 0;
}

#endif /* RETINA_PARSE_H */
