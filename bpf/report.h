/* SPDX-License-Identifier: (GPL-2.0-only OR MIT) */
/*
 * report.h - writes the event of a packet and takes what was held back with it.
 */
#ifndef RETINA_REPORT_H
#define RETINA_REPORT_H

#include "output.h"
#include "track.h"

/* TCP options that are looked at; a SYN has five or six, later packets three. */
#define MAX_TCP_OPTIONS 16

/* The most that one event takes of each of the two counters of packets and of bytes: their sum fits the field. */
#define HELD_FIELD_BITS 31
#define HELD_FIELD_MAX ((1U << HELD_FIELD_BITS) - 1)

/* What an event takes from the held-back counters of its direction, this packet not among it. */
struct taken {
	__u32 packets;
	__u32 bytes;
	__u32 without_ack;
	__u32 psh;
	__u32 ns;
	__u32 spilled_packets; /* of packets, those from the spilled counters */
	__u32 spilled_bytes;
	__u64 rare; /* lanes as in conntrack_side.held_rare */
};

/*
 * Arithmetic without branches: each branch doubles the paths that the verifier
 * follows, and with them the time to load. It also forks on masks of all zeros or
 * all ones, which clang likes to make of a product; the barrier hides the bit from it.
 */
static __always_inline __u64 times_bit(__u64 value, __u64 bit)
{
	asm volatile("" : "+r"(bit));
	return value * bit;
}

static __always_inline __u64 positive(__s64 value)
{
	return times_bit(value, ~(__u64)value >> 63);
}

/* min(value, 2^bits - 1), for value < 2^63. */
static __always_inline __u64 saturate(__u64 value, __u32 bits)
{
	__u64 limit = (1ULL << bits) - 1;

	return value - positive(value - limit);
}

/* 1 when the TCP flag is set. */
static __always_inline __u64 bit(__u16 flags, enum tcp_flag flag)
{
	return (flags / flag) & 1;
}

/*
 * Reads what was held back before this packet. The packet itself is in the
 * counters already (except in held_rare), so it is taken off. What does not
 * fit the event's field stays for the next one.
 */
static __always_inline void read_held(const struct conntrack_side *side, const struct packet *packet,
				      struct taken *taken)
{
	__u64 held = side->held;
	__u64 flags = side->held_flags;
	__s64 ns = low_lane(flags, 16);
	__u16 own = packet->tcp_flags;
	__s64 without_ack;

	flags = (__s64)(flags - ns) >> 16;
	without_ack = low_lane(flags, 16);
	flags = (__s64)(flags - without_ack) >> 16;

	taken->packets = positive(held_packets(held) - 1);
	taken->bytes = saturate(positive(held_bytes(held) - packet->bytes), HELD_FIELD_BITS);
	taken->spilled_packets = saturate(positive((__s32)side->spilled_packets), HELD_FIELD_BITS);
	taken->spilled_bytes = saturate(positive(side->spilled_bytes), HELD_FIELD_BITS);
	taken->ns = saturate(positive(ns - bit(own, TCP_NS)), 8);
	taken->psh = positive((__s64)flags - bit(own, TCP_PSH));
	taken->without_ack = positive(without_ack - (bit(own, TCP_ACK) ^ 1));
	taken->rare = 0;
}

static __always_inline void fill_held(struct packet_event *event, const struct packet *packet, __u64 rare,
				      struct taken *taken)
{
	__u8 *fields[] = { &event->held_fin, &event->held_syn, &event->held_rst,
			   &event->held_urg, &event->held_ece, &event->held_cwr };

	event->held_packets = taken->packets + taken->spilled_packets;
	event->held_bytes = taken->bytes + taken->spilled_bytes;
	event->held_psh = taken->psh;
	event->held_ns = taken->ns;
	if (packet->tcp_length)
		event->held_ack = positive((__s64)event->held_packets - taken->without_ack);
	if (likely(!rare))
		return;
#pragma unroll
	for (int i = 0; i < 6; i++) {
		__s64 lane = low_lane(rare, RARE_BITS);
		__u64 count = saturate(positive(lane), 8);

		*fields[i] = count;
		taken->rare |= count << (i * RARE_BITS);
		rare = (__s64)(rare - lane) >> RARE_BITS;
	}
}

/* Takes the reported counts off, the packet's own among them. */
static __always_inline void settle(struct conntrack_side *side, const struct packet *packet,
				   const struct taken *taken)
{
	__u16 own = packet->tcp_flags;
	__u64 held = ((__u64)taken->packets + 1) << HELD_BYTES_BITS;
	__u64 flags = ((__u64)taken->psh + bit(own, TCP_PSH)) << 32;

	held += (__u64)taken->bytes + packet->bytes;
	flags += taken->ns + bit(own, TCP_NS);
	if (packet->tcp_length)
		flags += (taken->without_ack + (bit(own, TCP_ACK) ^ 1)) << 16;
	__sync_fetch_and_add(&side->reported_packets, taken->packets + taken->spilled_packets + 1);
	__sync_fetch_and_add(&side->reported_bytes, (__u64)taken->bytes + taken->spilled_bytes + packet->bytes);
	__sync_fetch_and_add(&side->held, -held);
	if (flags)
		__sync_fetch_and_add(&side->held_flags, -flags);
	if (unlikely(taken->rare))
		__sync_fetch_and_add(&side->held_rare, -taken->rare);
	if (unlikely(taken->spilled_packets))
		__sync_fetch_and_add(&side->spilled_packets, -taken->spilled_packets);
	if (unlikely(taken->spilled_bytes))
		__sync_fetch_and_add(&side->spilled_bytes, -(__u64)taken->spilled_bytes);
	/* What did not fit the event's field goes into the next one, which stays due. */
	if (likely(taken->spilled_bytes != HELD_FIELD_MAX && taken->bytes != HELD_FIELD_MAX))
		side->next_report_ns = packet->now + report_interval_ns;
}

/* Moves a full lane into the spilled counters. Two CPUs at once leave a debt in the lane, which later packets repay. */
static __always_inline void spill(struct conntrack_side *side)
{
	__u64 held = side->held;
	__s64 bytes = held_bytes(held), packets = held_packets(held);

	if (bytes < 4 * HELD_BYTES_MAX || packets <= 0)
		return;
	__sync_fetch_and_add(&side->spilled_packets, (__u32)packets);
	__sync_fetch_and_add(&side->spilled_bytes, bytes);
	__sync_fetch_and_add(&side->held, -(((__u64)packets << HELD_BYTES_BITS) + bytes));
}

/* The ring is full: the packet stays in the held-back counters and the next one of its direction tries again. */
static __always_inline void hold_back(struct conntrack_side *side, const struct packet *packet)
{
	const __u16 order[] = { TCP_FIN, TCP_SYN, TCP_RST, TCP_URG, TCP_ECE, TCP_CWR };
	__u16 flags = packet->tcp_flags;
	__u64 rare = side->held_rare;
	__u64 add = 0;

	side->next_report_ns = 0;
	spill(side);
	if (!(flags & TCP_NOTABLE))
		return;
#pragma unroll
	for (int i = 0; i < 6; i++) {
		__s64 lane = low_lane(rare, RARE_BITS);

		if (flags & order[i] && lane < RARE_MAX)
			add |= 1ULL << (i * RARE_BITS);
		rare = (__s64)(rare - lane) >> RARE_BITS;
	}
	__sync_fetch_and_add(&side->held_rare, add);
}

/*
 * Offset of the values of the timestamp option (RFC 7323) in the options from
 * at to end, or 0. Not static, as walk_extensions.
 */
__noinline __u32 find_timestamps(struct __sk_buff *skb, __u32 at, __u32 end)
{
#pragma unroll
	for (int i = 0; i < MAX_TCP_OPTIONS; i++) {
		__u8 option[2] = {};

		if (at + 2 > end || bpf_skb_load_bytes(skb, at, option, sizeof(option)))
			return 0;
		if (option[0] == TCP_OPTION_END)
			return 0;
		if (option[0] == TCP_OPTION_NOP) {
			at += 1;
			continue;
		}
		if (option[0] == TCP_OPTION_TIMESTAMP)
			return option[1] == TCP_TIMESTAMP_LENGTH && at + TCP_TIMESTAMP_LENGTH <= end ? at + 2 : 0;
		if (option[1] < 2)
			return 0;
		at += option[1];
	}
	return 0;
}

static __always_inline void fill_timestamps(struct packet_event *event, struct __sk_buff *skb,
					    const struct packet *packet)
{
	__u32 options = packet->l4_offset + sizeof(struct tcp_header);
	__u32 end = packet->l4_offset + packet->tcp_length;
	__u32 values[2] = {};
	__u32 at;

	if (packet->tcp_length <= sizeof(struct tcp_header))
		return;
	at = find_timestamps(skb, options, end);
	if (!at || bpf_skb_load_bytes(skb, at, values, sizeof(values)))
		return;
	event->tcp_tsval = bpf_ntohl(values[0]);
	event->tcp_tsecr = bpf_ntohl(values[1]);
	event->event_flags |= EVENT_TCP_TIMESTAMP;
}

/* Everything of the event that the packet and its key say. */
static __always_inline void fill_packet(struct packet_event *event, const struct packet *packet)
{
	__u64 *source = (__u64 *)event->src_addr, *destination = (__u64 *)event->dst_addr;
	const struct conntrack_key *key = &packet->key;

	event->ts_ns = event_time_ns();
	source[0] = packet->side ? key->high_addr[0] : key->low_addr[0];
	source[1] = packet->side ? key->high_addr[1] : key->low_addr[1];
	destination[0] = packet->side ? key->low_addr[0] : key->high_addr[0];
	destination[1] = packet->side ? key->low_addr[1] : key->high_addr[1];
	event->bytes = packet->bytes;
	event->ifindex = key->ifindex;
	event->src_port = packet->src_port;
	event->dst_port = packet->dst_port;
	event->tcp_flags = packet->tcp_flags;
	event->vlan_id = key->vlan_id;
	event->protocol = key->protocol;
	event->ip_version = packet->ip_version;
	event->observation_point = packet->observation_point;
	event->icmp_type = packet->icmp_type;
	event->icmp_code = packet->icmp_code;
	event->event_flags = packet->event_flags;
	event->tcp_seq = bpf_ntohl(packet->tcp_seq);
	event->tcp_ack = packet->tcp_flags & TCP_ACK ? bpf_ntohl(packet->tcp_ack) : 0;
}

/* The direction of the connection seen from the endpoint or node behind the interface. */
static __always_inline __u8 direction_of(const struct packet *packet, int is_reply)
{
	int is_outgoing = packet->observation_point == OBS_FROM_ENDPOINT ||
			  packet->observation_point == OBS_TO_NETWORK;

	return is_outgoing != is_reply ? DIR_EGRESS : DIR_INGRESS;
}

static __always_inline __u64 total_bytes(const struct conntrack_side *side)
{
	return side->reported_bytes + side->spilled_bytes + held_bytes(side->held);
}

static __always_inline __u32 total_packets(const struct conntrack_side *side)
{
	return side->reported_packets + side->spilled_packets + (__u32)held_packets(side->held);
}

/* What the connection's entry says. */
static __always_inline void fill_connection(struct packet_event *event, struct conntrack_entry *entry,
					    const struct packet *packet, struct taken *taken)
{
	__u8 initiator = entry->initiator & INITIATOR_HIGH;
	__u8 sender = packet->side & 1;
	const struct conntrack_side *tx = &entry->side[initiator];
	const struct conntrack_side *rx = &entry->side[initiator ^ 1];

	event->is_reply = sender == initiator ? REPLY_NO : REPLY_YES;
	event->traffic_direction = direction_of(packet, sender != initiator);
	event->total_bytes_tx = total_bytes(tx);
	event->total_bytes_rx = total_bytes(rx);
	event->total_packets_tx = total_packets(tx);
	event->total_packets_rx = total_packets(rx);
	read_held(&entry->side[sender], packet, taken);
	fill_held(event, packet, entry->side[sender].held_rare, taken);
	if (entry->state == CONNTRACK_CLOSED)
		event->event_flags |= EVENT_CLOSED;
}

/* Reports the packet; entry is NULL when it could not be tracked. */
static __noinline int report(struct __sk_buff *skb, struct packet *packet, struct conntrack_entry *entry,
			     struct stats *stats)
{
	int has_ethernet = packet->event_flags & EVENT_ETHERNET;
	struct event_record *record;
	struct taken taken = {};

	record = event_reserve(has_ethernet);
	if (!record)
		goto lost;
	__builtin_memset(&record->event, 0, sizeof(record->event));
	fill_packet(&record->event, packet);
	fill_timestamps(&record->event, skb, packet);
	if (has_ethernet) {
		bpf_skb_load_bytes(skb, 0, &record->ethernet, 12);
		__builtin_memset(record->ethernet.reserved, 0, sizeof(record->ethernet.reserved));
	}
	if (entry) {
		fill_connection(&record->event, entry, packet, &taken);
	} else {
		record->event.is_reply = REPLY_UNKNOWN;
		record->event.traffic_direction = direction_of(packet, 0);
		record->event.total_bytes_tx = packet->bytes;
		record->event.total_packets_tx = 1;
	}
	if (event_submit(skb, record, has_ethernet))
		goto lost;
	stats->counters[STAT_EVENTS]++;
	if (entry) {
		settle(&entry->side[packet->side & 1], packet, &taken);
		if (entry->state == CONNTRACK_CLOSED)
			entry->state = CONNTRACK_REPORTED;
	}
	return 0;
lost:
	stats->counters[STAT_LOST]++;
	if (entry)
		hold_back(&entry->side[packet->side & 1], packet);
	else
		stats->counters[STAT_UNTRACKED_LOST]++;
	return 0;
}

#endif /* RETINA_REPORT_H */
