/* SPDX-License-Identifier: (GPL-2.0-only OR MIT) */
/*
 * track.h - conntrack: finds the connection of a packet, counts it, and says whether to report it.
 *
 * Reported are: TCP packets with SYN, FIN, RST, URG, ECE or CWR; the first
 * packet of each direction; the first with a new combination of TCP flags;
 * everything after both ends sent FIN; one packet per direction and report
 * interval; and one before a held-back count outgrows its field.
 */
#ifndef RETINA_TRACK_H
#define RETINA_TRACK_H

#include "knobs.h"
#include "parse.h"

/* Packets with one of these are always reported. */
#define TCP_NOTABLE (TCP_FIN | TCP_SYN | TCP_RST | TCP_URG | TCP_ECE | TCP_CWR)

/*
 * A report is forced from here on. 2^30 bytes leave room for what comes before
 * the report gets through: the event's field has 32 bits, the lane 36.
 * A packet has 20 bytes and more, so the packet lane is far from its limit then.
 */
#define HELD_BYTES_MAX (1LL << 30)
/* packet_event.held_ns is one byte. */
#define HELD_NS_MAX 255
/* The 16-bit lanes stop counting here: reached only while the ring is full. */
#define HELD_LANE_MAX (1 << 14)

/*
 * 262,144 entries of 224 bytes, the kernel's part included: 59 MB. The loader may set another size. LRU:
 * when full, the kernel evicts what was not used for longest.
 */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 262144);
	__type(key, struct conntrack_key);
	__type(value, struct conntrack_entry);
} CONNTRACK SEC(".maps");

static __always_inline int is_sampled(void)
{
	if (sampling_rate <= 1)
		return 1;
	return bpf_get_prandom_u32() < 0xffffffff / sampling_rate;
}

/* INSIDE_* bits. Outgoing are FROM_ENDPOINT (0) and TO_NETWORK (3): the two bits of the point are equal. */
static __always_inline __u8 inside_bits(const struct packet *packet)
{
	__u8 point = packet->observation_point;

	return ((point ^ point >> 1 ^ packet->side) & 1) * INSIDE_HIGH | (point >> 1 & 1) * INSIDE_NODE;
}

/* The end that opened the connection of its first packet, as far as that packet tells, and the INSIDE_* bits. */
static __always_inline __u8 first_initiator(const struct packet *packet)
{
	__u8 from_high = packet->side, inside = inside_bits(packet);

	if (!packet->tcp_length)
		return (from_high ^ packet->is_answer) | inside;
	if (packet->tcp_flags & TCP_SYN)
		return (from_high ^ !!(packet->tcp_flags & TCP_ACK)) | inside;
	/* Mid-stream: servers have the lower port. Equal ports: the sender. */
	if (packet->src_port < packet->dst_port)
		from_high ^= 1;
	return from_high | INITIATOR_GUESSED | inside;
}

/* Sets what a connection starts with. */
static __always_inline void begin(struct conntrack_entry *entry, const struct packet *packet, __u8 initiator)
{
	__u64 next_report = 0;

	/* An unsampled first packet and what follows it are held back for an interval. */
	if (!(packet->tcp_flags & TCP_NOTABLE) && !is_sampled())
		next_report = packet->now + report_interval_ns;
	entry->initiator = initiator;
	entry->state = CONNTRACK_OPEN;
	entry->fin_seen[0] = 0;
	entry->fin_seen[1] = 0;
	entry->flags_seen[0] = packet->side ? 0 : packet->tcp_flags;
	entry->flags_seen[1] = packet->side ? packet->tcp_flags : 0;
	entry->side[0].next_report_ns = next_report;
	entry->side[1].next_report_ns = next_report;
}

/* A new entry with zero counters, or the one that another CPU made meanwhile; NULL when there is none. */
static __noinline struct conntrack_entry *create(const struct packet *packet, struct stats *stats)
{
	struct conntrack_entry fresh = {};

	fresh.expires_ns = packet->now + tcp_lifetime_ns;
	begin(&fresh, packet, first_initiator(packet));
	if (!bpf_map_update_elem(&CONNTRACK, &packet->key, &fresh, BPF_NOEXIST))
		stats->counters[STAT_CONNTRACK_CREATED]++;
	return bpf_map_lookup_elem(&CONNTRACK, &packet->key);
}

/* The signed lane at the low end of a packed counter. Subtract it before shifting to the next: it may have borrowed. */
static __always_inline __s64 low_lane(__u64 lanes, __u32 bits)
{
	return (__s64)(lanes << (64 - bits)) >> (64 - bits);
}

static __always_inline __s64 held_bytes(__u64 held)
{
	return low_lane(held, HELD_BYTES_BITS);
}

static __always_inline __s64 held_packets(__u64 held)
{
	return (__s64)(held - held_bytes(held)) >> HELD_BYTES_BITS;
}

/* Starts another connection in the place of an ended one. Held-back counts stay, so that sums stay exact. */
static __noinline int restart(struct conntrack_entry *entry, const struct packet *packet, struct stats *stats)
{
	__u8 initiator = first_initiator(packet);

	/* An idle TCP connection that goes on has the initiator that it had. */
	if (initiator & INITIATOR_GUESSED && entry->state == CONNTRACK_OPEN)
		initiator = entry->initiator;
	begin(entry, packet, initiator);
#pragma unroll
	for (int i = 0; i < 2; i++) {
		struct conntrack_side *side = &entry->side[i];
		__u64 held = side->held;

		/* The new totals begin at zero: what the old connection left behind must not count. */
		side->reported_bytes = -(side->spilled_bytes + held_bytes(held));
		side->reported_packets = -(side->spilled_packets + (__u32)held_packets(held));
	}
	stats->counters[STAT_CONNTRACK_RESTARTED]++;
	return 0;
}

/* Both ends sent FIN. */
static __always_inline int is_closing(const struct conntrack_entry *entry)
{
	return entry->fin_seen[0] & entry->fin_seen[1];
}

/* Whether a new SYN on this entry opens another connection instead of repeating the first SYN. */
static __always_inline int is_reopened(const struct conntrack_entry *entry, const struct packet *packet)
{
	return (packet->tcp_flags & (TCP_SYN | TCP_ACK)) == TCP_SYN &&
	       (entry->state != CONNTRACK_OPEN || is_closing(entry));
}

/* Follows SYN, FIN, RST and the final ACK. */
static __noinline int follow_tcp(struct conntrack_entry *entry, const struct packet *packet)
{
	__u16 flags = packet->tcp_flags;
	__u8 side = packet->side & 1;

	if (flags & TCP_SYN && entry->initiator & INITIATOR_GUESSED)
		entry->initiator = first_initiator(packet);
	if (is_closing(entry) && flags & TCP_ACK && !(flags & TCP_FIN) && entry->state == CONNTRACK_OPEN)
		entry->state = CONNTRACK_CLOSED;
	if (flags & TCP_FIN)
		entry->fin_seen[side] = 1;
	if (flags & TCP_RST && entry->state == CONNTRACK_OPEN) {
		entry->state = CONNTRACK_CLOSED;
		entry->expires_ns = packet->now + tcp_reset_lifetime_ns;
	}
	return 0;
}

/* Counts flags that are no report by themselves. Returns whether one of the counts is at its limit. */
static __always_inline int count_flags(struct conntrack_side *side, __u16 flags)
{
	__u64 count = 0;

	if (flags & TCP_PSH)
		count = 1ULL << 32;
	if (likely(flags & TCP_ACK && !(flags & TCP_NS))) {
		if (count)
			__sync_fetch_and_add(&side->held_flags, count);
		return 0;
	}
	__u64 lanes = side->held_flags;
	__s64 ns = low_lane(lanes, 16), without_ack = low_lane((lanes - ns) >> 16, 16);

	if (flags & TCP_NS && ns < HELD_LANE_MAX)
		count += 1;
	if (!(flags & TCP_ACK) && without_ack < HELD_LANE_MAX)
		count += 1 << 16;
	__sync_fetch_and_add(&side->held_flags, count);
	return ns >= HELD_NS_MAX || without_ack >= HELD_LANE_MAX / 2;
}

/* Counts the packet, moves the lifetime on; returns whether the packet is to be reported. */
static __always_inline int track(struct conntrack_entry *entry, const struct packet *packet)
{
	struct conntrack_side *side = &entry->side[packet->side & 1];
	int must_report = 0;

	if (packet->tcp_length) {
		__u16 flags = packet->tcp_flags;
		__u16 seen = entry->flags_seen[packet->side & 1];

		must_report = count_flags(side, flags);
		if (unlikely((seen | flags) != seen)) {
			entry->flags_seen[packet->side & 1] = seen | flags;
			must_report |= is_sampled();
		}
		if (unlikely(flags & TCP_NOTABLE || is_closing(entry))) {
			must_report = 1;
			follow_tcp(entry, packet);
		}
		if (unlikely(is_closing(entry)))
			entry->expires_ns = packet->now + tcp_time_wait_ns;
		else if (unlikely(entry->state != CONNTRACK_OPEN))
			must_report |= entry->state == CONNTRACK_CLOSED;
		else if (likely((seen | flags) & TCP_ACK))
			entry->expires_ns = packet->now + tcp_lifetime_ns;
		else
			entry->expires_ns = packet->now + tcp_syn_lifetime_ns;
	} else {
		entry->expires_ns = packet->now + other_lifetime_ns;
	}
	must_report |= packet->now >= side->next_report_ns;
	must_report |= held_bytes(side->held) >= HELD_BYTES_MAX;
	/* Last: a locked addition lets no later load begin before it has ended. */
	__sync_fetch_and_add(&side->held, (1ULL << HELD_BYTES_BITS) + packet->bytes);
	return must_report;
}

#endif /* RETINA_TRACK_H */
