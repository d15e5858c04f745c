// SPDX-License-Identifier: (GPL-2.0-only OR MIT)
/*
 * baseline.bpf.c - the least that a packet watcher can do, to measure packetparser against (bench only).
 *
 * Parses Ethernet, IPv4 or IPv6 and the ports, makes one LRU look-up with a key
 * of the same size as packetparser's, and counts packets and bytes.
 */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_endian.h>

#include "conntrack.h"
#include "net.h"

struct count {
	__u64 packets;
	__u64 bytes;
};

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 262144);
	__type(key, struct conntrack_key);
	__type(value, struct count);
} COUNTS SEC(".maps");

/* What a test run costs by itself. */
SEC("tc")
int empty(struct __sk_buff *skb)
{
	return TC_ACT_UNSPEC;
}

SEC("tc")
int baseline(struct __sk_buff *skb)
{
	void *data = (void *)(long)skb->data;
	void *end = (void *)(long)skb->data_end;
	struct conntrack_key key = {};
	struct ports_header *ports;
	struct count *count;
	__be16 type;

	if (data + ETH_LENGTH > end)
		return TC_ACT_UNSPEC;
	type = *(__be16 *)(data + 12);
	if (type == bpf_htons(ETH_P_IP)) {
		struct ipv4_header *ip = data + ETH_LENGTH;

		if ((void *)(ip + 1) > end)
			return TC_ACT_UNSPEC;
		key.protocol = ip->protocol;
		key.low_addr[1] = ip->source;
		key.high_addr[1] = ip->destination;
		ports = (void *)(ip + 1);
	} else if (type == bpf_htons(ETH_P_IPV6)) {
		struct ipv6_header *ip = data + ETH_LENGTH;

		if ((void *)(ip + 1) > end)
			return TC_ACT_UNSPEC;
		key.protocol = ip->next_header;
		key.low_addr[0] = ip->source[0];
		key.low_addr[1] = ip->source[1];
		key.high_addr[0] = ip->destination[0];
		key.high_addr[1] = ip->destination[1];
		ports = (void *)(ip + 1);
	} else {
		return TC_ACT_UNSPEC;
	}
	if ((void *)(ports + 1) > end || (key.protocol != PROTO_TCP && key.protocol != PROTO_UDP))
		return TC_ACT_UNSPEC;
	key.low_port = ports->source;
	key.high_port = ports->destination;

	count = bpf_map_lookup_elem(&COUNTS, &key);
	if (count) {
		__sync_fetch_and_add(&count->packets, 1);
		__sync_fetch_and_add(&count->bytes, skb->len);
	} else {
		struct count first = { .packets = 1, .bytes = skb->len };

		bpf_map_update_elem(&COUNTS, &key, &first, BPF_NOEXIST);
	}
	return TC_ACT_UNSPEC;
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
