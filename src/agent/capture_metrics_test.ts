import assert from "node:assert/strict";
import { STAT_NAMES } from "../plugins/packetparser/kernel_stats.ts";
import type { PacketparserStats } from "../plugins/packetparser/packetparser.ts";
import { Metrics } from "../telemetry/metrics.ts";
import { registerCaptureMetrics } from "./capture_metrics.ts";

const stats: PacketparserStats = {
  transport: "ring",
  attachMode: "tcx",
  kernel: Object.fromEntries(STAT_NAMES.map((name, index) => [name, 100 + index])) as PacketparserStats["kernel"],
  lostByCpu: [3, 0],
  eventsRead: 90,
  pendingBytes: 152,
  stalledMs: 1500,
  interfaces: [
    { ifindex: 2, name: "eth0", point: "host", attached: true, failures: 0 },
    { ifindex: 3, name: "veth1", point: "endpoint", attached: false, failures: 2, error: "ENODEV" },
    { ifindex: 4, name: "veth2", point: "endpoint", attached: false, failures: 0 },
    { ifindex: 5, name: "veth3", point: "endpoint", attached: false, failures: 0 },
  ],
  watcher: { resyncs: 4, overruns: 1, reopened: 0, failures: 2 },
  conntrack: {
    ...{
      entries: 30,
      expired: 20,
      evicted: 5,
      lastPackets: 9,
      sweeps: 2,
      lastSweepMs: 100,
      longestSliceMs: 2.5,
      batch: true,
    },
  },
};

async function render(read: () => PacketparserStats | undefined): Promise<string[]> {
  const metrics = new Metrics();
  registerCaptureMetrics(metrics, { stats: read });
  const { body } = await metrics.render();
  return body.split("\n").filter((line) => /^(retina|hubble)_/.test(line));
}

Deno.test("registerCaptureMetrics() shows what was seen, lost by CPU, ignored by reason, and each interface's state", async () => {
  const lines = await render(() => stats);
  for (
    const expected of [
      `retina_packets_seen_total ${stats.kernel.packets}`,
      `retina_events_submitted_total ${stats.kernel.events}`,
      "retina_events_read_total 90",
      'hubble_lost_events_total{source="PERF_EVENT_RING_BUFFER",cpu="0"} 3',
      'hubble_lost_events_total{source="PERF_EVENT_RING_BUFFER",cpu="1"} 0',
      `retina_packets_ignored_total{reason="not_ip"} ${stats.kernel.not_ip}`,
      "retina_ring_pending_bytes 152",
      "retina_ring_stalled_seconds 1.5",
      `retina_conntrack_events_total{event="created"} ${stats.kernel.conntrack_created}`,
      "retina_conntrack_entries 30",
      'retina_conntrack_removed_total{reason="expired"} 20',
      'retina_conntrack_removed_total{reason="evicted"} 5',
      "retina_conntrack_longest_slice_seconds 0.0025",
      'retina_interface_watcher_total{event="overrun"} 1',
      'retina_interface_watcher_total{event="attach_failure"} 2',
      'retina_interfaces{point="endpoint",state="failed"} 1',
      'retina_interfaces{point="endpoint",state="pending"} 2',
      'retina_interfaces{point="host",state="attached"} 1',
      'retina_interfaces{point="host",state="failed"} 0',
      'retina_capture_info{transport="ring",attach_mode="tcx"} 1',
    ]
  ) assert.ok(lines.includes(expected), `${expected} is missing in\n${lines.join("\n")}`);
});

Deno.test("registerCaptureMetrics() has no samples while the plugin does not run", async () => {
  assert.deepEqual((await render(() => undefined)).filter((line) => !line.endsWith(" 0")), []);
});
