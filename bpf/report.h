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

/* What an event takes from the held-back counters of its direction. */
struct taken {
	__u32 packets;
	__u32 ack;
	__u32 psh;
	__u32 ns;
	__u64 bytes;
	__u64 rare; /* lanes as in conntrack_side.held_rare */
};

static __always_inline __u64 clamp(__s64 value, __s64 limit)
{
	return value < 0 ? 0 : value > limit ? limit : value;
}

/* The signed low lane of a packed counter. */
static __always_inline __s64 low_lane(__u64 lanes, __u32 bits)
{
	return (__s64)(lanes << (64 - bits)) >> (64 - bits);
}

/*
 * Reads what was held back before this packet. The packet itself is in the
 * counters already (except in held_rare), so it is taken off. What does not
 * fit the event's field stays for the next one.
 */
static __always_inline void read_held(const struct conntrack_side *side, const struct packet *packet,
				      struct taken *taken, struct packet_event *event)
{
	__u64 packets_ack = side->held_packets_ack;
	__u64 psh_ns = side->held_psh_ns;
	__u64 rare = side->held_rare;
	__s64 ack = low_lane(packets_ack, 32);
	__s64 ns = low_lane(psh_ns, 32);
	__u8 *fields[] = { &event->held_fin, &event->held_syn, &event->held_rst,
			   &event->held_urg, &event->held_ece, &event->held_cwr };

	taken->packets = clamp(((__s64)(packets_ack - ack) >> 32) - 1, 0x7fffffff);
	taken->ack = clamp(ack - !!(packet->tcp_flags & TCP_ACK), 0x7fffffff);
	taken->psh = clamp(((__s64)(psh_ns - ns) >> 32) - !!(packet->tcp_flags & TCP_PSH), 0x7fffffff);
	taken->ns = clamp(ns - !!(packet->tcp_flags & TCP_NS), HELD_NS_MAX);
	taken->bytes = clamp((__s64)(side->bytes - side->reported_bytes) - packet->bytes, 0xffffffff);
	taken->rare = 0;
	event->held_packets = taken->packets;
	event->held_bytes = taken->bytes;
	event->held_ack = taken->ack;
	event->held_psh = taken->psh;
	event->held_ns = taken->ns;
	if (likely(!rare))
		return;
#pragma unroll
	for (int i = 0; i < 6; i++) {
		__s64 lane = low_lane(rare, RARE_BITS);
		__u64 count = clamp(lane, RARE_MAX);

		*fields[i] = count;
		taken->rare |= count << (i * RARE_BITS);
		rare = (__u64)(rare - lane) >> RARE_BITS;
	}
}

/* Takes the reported counts off, the packet's own among them. */
static __always_inline void settle(struct conntrack_side *side, const struct packet *packet,
				   const struct taken *taken)
{
	__u16 flags = packet->tcp_flags;
	__u64 packets_ack = ((__u64)taken->packets + 1) << 32;
	__u64 psh_ns = ((__u64)taken->psh + !!(flags & TCP_PSH)) << 32;

	packets_ack += taken->ack + !!(flags & TCP_ACK);
	psh_ns += taken->ns + !!(flags & TCP_NS);
	__sync_fetch_and_add(&side->reported_packets, taken->packets + 1);
	__sync_fetch_and_add(&side->held_packets_ack, -packets_ack);
	__sync_fetch_and_add(&side->reported_bytes, taken->bytes + packet->bytes);
	if (psh_ns)
		__sync_fetch_and_add(&side->held_psh_ns, -psh_ns);
	if (taken->rare)
		__sync_fetch_and_add(&side->held_rare, -taken->rare);
	side->next_report_ns = packet->now + report_interval_ns;
}

/* The ring is full: the packet stays in the held-back counters and the next one of its direction tries again. */
static __always_inline void hold_back(struct conntrack_side *side, const struct packet *packet)
{
	__u16 flags = packet->tcp_flags;
	__u64 held = side->held_rare;
	const __u16 order[] = { TCP_FIN, TCP_SYN, TCP_RST, TCP_URG, TCP_ECE, TCP_CWR };
	__u64 add = 0;

	side->next_report_ns = 0;
	if (!(flags & TCP_NOTABLE))
		return;
#pragma unroll
	for (int i = 0; i < 6; i++) {
		__s64 lane = low_lane(held, RARE_BITS);

		if (flags & order[i] && lane < RARE_MAX)
			add |= 1ULL << (i * RARE_BITS);
		held = (__u64)(held - lane) >> RARE_BITS;
	}
	__sync_fetch_and_add(&side->held_rare, add);
}

/* Finds the timestamp option (RFC 7323). */
static __noinline int read_timestamps(struct __sk_buff *skb, const struct packet *packet, __u32 *stamps)
{
	__u32 at = packet->l4_offset + sizeof(struct tcp_header);
	__u32 end = packet->l4_offset + packet->tcp_length;

#pragma unroll
	for (int i = 0; i < MAX_TCP_OPTIONS; i++) {
		__u8 option[2];

		if (at + 2 > end || bpf_skb_load_bytes(skb, at, option, sizeof(option)))
			return 0;
		if (option[0] == TCP_OPTION_END)
			return 0;
		if (option[0] == TCP_OPTION_NOP) {
			at += 1;
			continue;
		}
		if (option[0] == TCP_OPTION_TIMESTAMP) {
			if (option[1] != TCP_TIMESTAMP_LENGTH || at + TCP_TIMESTAMP_LENGTH > end)
				return 0;
			return !bpf_skb_load_bytes(skb, at + 2, stamps, 8);
		}
		if (option[1] < 2)
			return 0;
		at += option[1];
	}
	return 0;
}

/* Everything of the event that the packet and its key say. */
static __always_inline void fill_packet(struct packet_event *event, const struct packet *packet)
{
	__u64 *source = (__u64 *)event->src_addr, *destination = (__u64 *)event->dst_addr;
	const struct conntrack_key *key = &packet->key;

	event->ts_ns = packet->now;
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
	event->total_bytes_tx = tx->bytes - tx->start_bytes;
	event->total_bytes_rx = rx->bytes - rx->start_bytes;
	event->total_packets_tx = packets_of(tx) - tx->start_packets;
	event->total_packets_rx = packets_of(rx) - rx->start_packets;
	read_held(&entry->side[sender], packet, taken, event);
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
	__u32 stamps[2];
	int has_stamps = 0;

	if (packet->tcp_length > sizeof(struct tcp_header))
		has_stamps = read_timestamps(skb, packet, stamps);
	record = event_reserve(has_ethernet);
	if (!record)
		goto lost;
	__builtin_memset(&record->event, 0, sizeof(record->event));
	fill_packet(&record->event, packet);
	if (has_stamps) {
		record->event.tcp_tsval = bpf_ntohl(stamps[0]);
		record->event.tcp_tsecr = bpf_ntohl(stamps[1]);
		record->event.event_flags |= EVENT_TCP_TIMESTAMP;
	}
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
