/* SPDX-License-Identifier: (GPL-2.0-only OR MIT) */
/*
 * output.h - the EVENTS map: a ring buffer, or a perf event array when built with -DRETINA_PERF.
 *
 * Both variants give the same three steps: event_reserve, fill, event_submit.
 * The ring needs kernel 5.8; the perf variant uses no helper newer than 4.19.
 */
#ifndef RETINA_OUTPUT_H
#define RETINA_OUTPUT_H

#include "knobs.h"
#include "packet_event.h"

/* An event and its optional tail, as user space reads them. */
struct event_record {
	struct packet_event event;
	struct packet_ethernet ethernet;
};

#ifdef RETINA_PERF

struct {
	__uint(type, BPF_MAP_TYPE_PERF_EVENT_ARRAY);
	__uint(key_size, sizeof(__u32));
	__uint(value_size, sizeof(__u32));
} EVENTS SEC(".maps");

/* The event is too big for the stack beside the rest. TC programs of one CPU do not interrupt each other. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct event_record);
} SCRATCH SEC(".maps");

static __always_inline struct event_record *event_reserve(int has_ethernet)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&SCRATCH, &zero);
}

/* Negative when the ring of this CPU is full; the kernel then counts the loss for PERF_RECORD_LOST as well. */
static __always_inline int event_submit(struct __sk_buff *skb, struct event_record *record, int has_ethernet)
{
	__u32 size = has_ethernet ? sizeof(*record) : sizeof(record->event);

	return bpf_perf_event_output(skb, &EVENTS, BPF_F_CURRENT_CPU, record, size);
}

/* CLOCK_MONOTONIC: the boot-time clock came with 5.8. User space adds the difference. */
static __always_inline __u64 event_time_ns(void)
{
	return bpf_ktime_get_ns();
}

/* CLOCK_MONOTONIC for conntrack. */
static __always_inline __u64 conntrack_time_ns(void)
{
	return bpf_ktime_get_ns();
}

#else

/* 8 MiB hold 55,000 events: 0.2 s of 300,000 a second. The loader may set another size. */
struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 8 << 20);
} EVENTS SEC(".maps");

/*
 * While the ring is full every packet that is due tries again. The positions
 * are read first: bpf_ringbuf_reserve takes a lock that all CPUs would meet at.
 */
static __always_inline int is_ring_full(void)
{
	__u64 taken = bpf_ringbuf_query(&EVENTS, BPF_RB_AVAIL_DATA);

	return taken + BPF_RINGBUF_HDR_SZ + sizeof(struct event_record) > bpf_ringbuf_query(&EVENTS, BPF_RB_RING_SIZE);
}

static __always_inline struct event_record *event_reserve(int has_ethernet)
{
	if (is_ring_full())
		return 0;
	if (has_ethernet)
		return bpf_ringbuf_reserve(&EVENTS, sizeof(struct event_record), 0);
	return bpf_ringbuf_reserve(&EVENTS, sizeof(struct packet_event), 0);
}

/* User space polls, so a wake-up would be wasted: it costs more than the event. */
static __always_inline int event_submit(struct __sk_buff *skb, struct event_record *record, int has_ethernet)
{
	bpf_ringbuf_submit(record, BPF_RB_NO_WAKEUP);
	return 0;
}

static __always_inline __u64 event_time_ns(void)
{
	return bpf_ktime_get_boot_ns();
}

/*
 * CLOCK_MONOTONIC for conntrack, at the resolution of the timer tick where the kernel can:
 * reading the counter costs more than all the rest of an unreported packet.
 */
static __always_inline __u64 conntrack_time_ns(void)
{
	if (coarse_clock)
		return bpf_ktime_get_coarse_ns();
	return bpf_ktime_get_ns();
}

#endif /* RETINA_PERF */
#endif /* RETINA_OUTPUT_H */
