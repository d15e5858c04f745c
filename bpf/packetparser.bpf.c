// SPDX-License-Identifier: (GPL-2.0-only OR MIT)
/*
 * packetparser.bpf.c - TC classifiers that watch packets and never touch them.
 *
 * Each packet is parsed (parse.h), counted in its connection (track.h) and,
 * when the connection's rules say so, reported (report.h). The verdict is
 * TC_ACT_UNSPEC on every path: the next program decides, as if we were not here.
 *
 * Attach endpoint_* to the host side of pod veths, host_* to Ethernet devices
 * of the node, and the *_l3 programs to devices without a link header (netkit in
 * its usual mode, tun, WireGuard, IP tunnels). On the loopback device attach
 * one direction only: it shows every packet twice and both views would share
 * one connection.
 */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_endian.h>

#include "report.h"

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct stats);
} STATS SEC(".maps");

/*
 * BTF keeps only types that a variable has. User space finds the counters by
 * their names, and a test compares the ABI with src/flow/record.ts.
 */
const volatile struct {
	enum stat stat;
	enum observation_point observation_point;
	enum traffic_direction traffic_direction;
	enum reply_state reply_state;
	enum tcp_flag tcp_flag;
	enum packet_event_flag packet_event_flag;
	enum conntrack_state conntrack_state;
	enum conntrack_initiator conntrack_initiator;
	struct packet_event packet_event;
	struct packet_ethernet packet_ethernet;
} abi_types;

static __always_inline int observe(struct __sk_buff *skb, enum observation_point point, int has_ethernet)
{
	struct packet packet;
	struct conntrack_entry *entry;
	struct stats *stats;
	__u32 zero = 0;
	int reason;

	stats = bpf_map_lookup_elem(&STATS, &zero);
	if (!stats)
		return TC_ACT_UNSPEC;
	stats->counters[STAT_PACKETS]++;
	stats->counters[STAT_BYTES] += skb->len;

	reason = parse(skb, &packet, has_ethernet);
	if (unlikely(reason)) {
		if (reason < STAT_COUNT) /* for the verifier */
			stats->counters[reason & 15]++;
		return TC_ACT_UNSPEC;
	}

	packet.observation_point = point;
	packet.event_flags |= has_ethernet ? EVENT_ETHERNET : 0;
	packet.now = conntrack_time_ns();
	entry = bpf_map_lookup_elem(&CONNTRACK, &packet.key);
	if (unlikely(!entry)) {
		entry = create(&packet, stats);
		if (!entry) {
			stats->counters[STAT_CONNTRACK_FAILED]++;
			report(skb, &packet, 0, stats);
			return TC_ACT_UNSPEC;
		}
	} else if (unlikely(packet.now >= entry->expires_ns || is_reopened(entry, &packet))) {
		restart(entry, &packet, stats);
	}
	if (track(entry, &packet))
		report(skb, &packet, entry, stats);
	return TC_ACT_UNSPEC;
}

SEC("tc")
int endpoint_ingress(struct __sk_buff *skb)
{
	return observe(skb, OBS_FROM_ENDPOINT, 1);
}

SEC("tc")
int endpoint_egress(struct __sk_buff *skb)
{
	return observe(skb, OBS_TO_ENDPOINT, 1);
}

SEC("tc")
int endpoint_ingress_l3(struct __sk_buff *skb)
{
	return observe(skb, OBS_FROM_ENDPOINT, 0);
}

SEC("tc")
int endpoint_egress_l3(struct __sk_buff *skb)
{
	return observe(skb, OBS_TO_ENDPOINT, 0);
}

SEC("tc")
int host_ingress(struct __sk_buff *skb)
{
	return observe(skb, OBS_FROM_NETWORK, 1);
}

SEC("tc")
int host_egress(struct __sk_buff *skb)
{
	return observe(skb, OBS_TO_NETWORK, 1);
}

SEC("tc")
int host_ingress_l3(struct __sk_buff *skb)
{
	return observe(skb, OBS_FROM_NETWORK, 0);
}

SEC("tc")
int host_egress_l3(struct __sk_buff *skb)
{
	return observe(skb, OBS_TO_NETWORK, 0);
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
