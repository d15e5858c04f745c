// SPDX-License-Identifier: (GPL-2.0-only OR MIT)
/* minimal.bpf.c - what the tests of the bindings load: one constant, three maps, programs that pass, drop, emit and fail to verify. */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

struct sample {
	__u64 sequence;
	__u32 length;
	__u8 address[16];
};

/* clang leaves a struct out of BTF unless a global or a map refers to it. */
struct sample *sample_in_btf;

const volatile __u32 small_knob = 1;
const volatile __u64 large_knob = 2;

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 64);
	__type(key, __u32);
	__type(value, __u64);
} TABLE SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 2);
	__type(key, __u32);
	__type(value, __u64);
} COUNTERS SEC(".maps");

#ifdef PERF
struct {
	__uint(type, BPF_MAP_TYPE_PERF_EVENT_ARRAY);
	__uint(key_size, 4);
	__uint(value_size, 4);
} EVENTS SEC(".maps");
#else
struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 4096);
} EVENTS SEC(".maps");
#endif

static void count(__u32 index)
{
	__u64 *value = bpf_map_lookup_elem(&COUNTERS, &index);

	if (value)
		__sync_fetch_and_add(value, 1);
}

/* Emits one sample; counts it in COUNTERS[0], or in COUNTERS[1] when there was no room. */
SEC("tc")
int emit(struct __sk_buff *skb)
{
	struct sample sample = { .sequence = large_knob, .length = skb->len };

	sample.address[15] = 0x7f;
#ifdef PERF
	long result = bpf_perf_event_output(skb, &EVENTS, BPF_F_CURRENT_CPU, &sample, sizeof(sample));
#else
	long result = bpf_ringbuf_output(&EVENTS, &sample, sizeof(sample), BPF_RB_NO_WAKEUP);
#endif
	count(result ? 1 : 0);
	return -1;
}

SEC("tc")
int pass(struct __sk_buff *skb)
{
	return small_knob;
}

SEC("tc")
int drop(struct __sk_buff *skb)
{
	return 2; /* TC_ACT_SHOT */
}

/* Reads behind the packet's end without a check: no verifier may take it. */
SEC("?tc")
int broken(struct __sk_buff *skb)
{
	return *(__u8 *)(long)skb->data;
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
