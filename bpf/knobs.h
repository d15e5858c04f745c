/* SPDX-License-Identifier: (GPL-2.0-only OR MIT) */
/*
 * knobs.h - constants that the loader may change in .rodata before it loads the object.
 *
 * The verifier then sees them as constants and removes what they switch off.
 * .rodata needs kernel 5.2; below that neither variant loads.
 */
#ifndef RETINA_KNOBS_H
#define RETINA_KNOBS_H

#define SECOND_NS 1000000000ULL

/*
 * Report one in N of the packets that nobody must see: the first packet of a
 * connection other than TCP and the first with a new combination of TCP flags.
 * 0 and 1: all of them.
 */
const volatile __u32 sampling_rate = 1;

/*
 * 1: conntrack takes its time from bpf_ktime_get_coarse_ns (kernel 5.11), which halves the cost of a
 * packet. 0 works everywhere. Events have exact times either way. The perf variant does not look at it.
 */
const volatile __u32 coarse_clock = 0;

/* A direction that sends is reported at least this often. */
const volatile __u64 report_interval_ns = 30 * SECOND_NS;

/* A TCP connection is forgotten after this long without a packet. */
const volatile __u64 tcp_lifetime_ns = 360 * SECOND_NS;

/* The same while only SYN without an answer was seen. */
const volatile __u64 tcp_syn_lifetime_ns = 60 * SECOND_NS;

/* The same once both ends sent FIN. */
const volatile __u64 tcp_time_wait_ns = 30 * SECOND_NS;

/* What is left of a connection after RST; later packets do not extend it, so a forged RST costs one restart. */
const volatile __u64 tcp_reset_lifetime_ns = 10 * SECOND_NS;

/* UDP, SCTP, ICMP and everything else. */
const volatile __u64 other_lifetime_ns = 60 * SECOND_NS;

#endif /* RETINA_KNOBS_H */
