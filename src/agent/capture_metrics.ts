import type { PacketparserStats } from "../plugins/packetparser/packetparser.ts";
import type { Metrics, Sample } from "../telemetry/metrics.ts";

/** Why the programs ignore a packet: the label values, and the counter of each. */
const IGNORED = ["not_ip", "l2_truncated", "l3_truncated", "l4_truncated", "bad_header", "too_many_headers"] as const;

/** Registers what the eBPF programs, the ring reader and the interface watcher count. */
export function registerCaptureMetrics(metrics: Metrics, plugin: { stats(): PacketparserStats | undefined }): void {
  const read = (samples: (stats: PacketparserStats) => Sample[]) => () => {
    const stats = plugin.stats();
    return stats === undefined ? [] : samples(stats);
  };
  const counter = (name: string, help: string, value: (stats: PacketparserStats) => number) => {
    metrics.counter({ name, help, read: read((stats) => [{ value: value(stats) }]) });
  };
  counter("retina_packets_seen_total", "Packets that reached an eBPF program", ({ kernel }) => kernel.packets);
  counter("retina_bytes_seen_total", "Bytes of the packets that reached an eBPF program", ({ kernel }) => kernel.bytes);
  counter(
    "retina_events_submitted_total",
    "Events that the eBPF programs wrote to the ring",
    ({ kernel }) => kernel.events,
  );
  counter("retina_events_read_total", "Events that the agent read from the ring", ({ eventsRead }) => eventsRead);
  metrics.counter({
    name: "retina_packets_ignored_total",
    help: "Packets that the eBPF programs passed on without a flow, by reason",
    labels: ["reason"],
    read: read(({ kernel }) => IGNORED.map((reason) => ({ labels: { reason }, value: kernel[reason] }))),
  });
  metrics.counter({
    name: "hubble_lost_events_total",
    help:
      "Events lost between the kernel and the agent, by source and CPU; the packets stay in the counts of later events",
    labels: ["source", "cpu"],
    read: read(({ lostByCpu }) =>
      lostByCpu.map((value, cpu) => ({ labels: { source: "PERF_EVENT_RING_BUFFER", cpu: String(cpu) }, value }))
    ),
  });
  metrics.gauge({
    name: "retina_ring_pending_bytes",
    help: "Bytes that wait in the ring",
    read: read(({ pendingBytes }) => [{ value: pendingBytes }]),
  });
  metrics.gauge({
    name: "retina_ring_stalled_seconds",
    help: "How long events have been waiting while none was read",
    read: read(({ stalledMs }) => [{ value: stalledMs / 1000 }]),
  });
  registerConntrack(metrics, read);
  registerInterfaces(metrics, read);
}

type Read = (samples: (stats: PacketparserStats) => Sample[]) => () => Sample[];

function registerConntrack(metrics: Metrics, read: Read): void {
  metrics.counter({
    name: "retina_conntrack_events_total",
    help: "Connections that got an entry, that took over an ended one, and packets that could not be tracked",
    labels: ["event"],
    read: read(({ kernel }) => [
      { labels: { event: "created" }, value: kernel.conntrack_created },
      { labels: { event: "restarted" }, value: kernel.conntrack_restarted },
      { labels: { event: "failed" }, value: kernel.conntrack_failed },
    ]),
  });
  metrics.gauge({
    name: "retina_conntrack_entries",
    help: "Connections that were alive at the last sweep",
    read: read(({ conntrack }) => [{ value: conntrack.entries }]),
  });
  metrics.counter({
    name: "retina_conntrack_removed_total",
    help:
      "Connections that were removed: expired by the collector, or evicted by the kernel because the map was full (a lower bound)",
    labels: ["reason"],
    read: read(({ conntrack }) => [
      { labels: { reason: "expired" }, value: conntrack.expired },
      { labels: { reason: "evicted" }, value: conntrack.evicted },
    ]),
  });
  metrics.gauge({
    name: "retina_conntrack_longest_slice_seconds",
    help: "Longest time that a slice of a conntrack sweep held the event loop",
    read: read(({ conntrack }) => [{ value: conntrack.longestSliceMs / 1000 }]),
  });
}

function stateOf({ attached, failures }: { attached: boolean; failures: number }): "attached" | "pending" | "failed" {
  return attached ? "attached" : failures > 0 ? "failed" : "pending";
}

function registerInterfaces(metrics: Metrics, read: Read): void {
  metrics.gauge({
    name: "retina_interfaces",
    help: "Interfaces that are to be watched, by observation point: attached, pending (not tried yet), or failed",
    labels: ["point", "state"],
    read: read(({ interfaces }) =>
      (["endpoint", "host"] as const).flatMap((point) =>
        (["attached", "pending", "failed"] as const).map((state) => ({
          labels: { point, state },
          value: interfaces.filter((one) => one.point === point && stateOf(one) === state).length,
        }))
      )
    ),
  });
  metrics.counter({
    name: "retina_interface_watcher_total",
    help:
      "What the interface watcher did: full listings, changes that the kernel dropped, sockets made anew, failed attaches",
    labels: ["event"],
    read: read(({ watcher }) => [
      { labels: { event: "resync" }, value: watcher.resyncs },
      { labels: { event: "overrun" }, value: watcher.overruns },
      { labels: { event: "reopen" }, value: watcher.reopened },
      { labels: { event: "attach_failure" }, value: watcher.failures },
    ]),
  });
  metrics.gauge({
    name: "retina_capture_info",
    help: "How packets are captured; always 1",
    labels: ["transport", "attach_mode"],
    read: read(({ transport, attachMode }) => [{ labels: { transport, attach_mode: attachMode }, value: 1 }]),
  });
}
