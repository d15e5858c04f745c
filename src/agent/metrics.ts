import { countEntries, readKernelFile } from "../../ffi/files.ts";
import type { HubbleServer } from "../hubble/server.ts";
import { registerFlowMetrics } from "../telemetry/metrics.ts";
import { registerProcessMetrics } from "../telemetry/process_metrics.ts";
import type { AgentState } from "./agent.ts";
import { VERSION } from "./version.ts";

/** Registers what the agent says of itself: flows, the store, the identity cache, streams and the event loop. */
export function registerAgentMetrics(
  state: AgentState,
  hubble: Pick<HubbleServer, "connections" | "streams" | "overtaken">,
): void {
  const { metrics, store, ipCache, sink, delay, flowMetrics } = state;
  registerFlowMetrics(metrics, flowMetrics);
  registerProcessMetrics(metrics, { read: readKernelFile, count: countEntries });
  metrics.gauge({
    name: "retina_build_info",
    help: "Version of this program; always 1",
    labels: ["version", "deno", "v8"],
    read: () => [{ labels: { version: VERSION, deno: Deno.version.deno, v8: Deno.version.v8 }, value: 1 }],
  });
  metrics.counter({
    name: "retina_flows_seen_total",
    help: "Flows and lost-event notes written to the flow store",
    read: () => [{ value: store.head }],
  });
  metrics.gauge({
    name: "retina_flow_store_capacity",
    help: "Flows that the flow store holds at most",
    read: () => [{ value: store.capacity }],
  });
  metrics.gauge({
    name: "retina_flow_store_flows",
    help: "Flows in the flow store now",
    read: () => [{ value: store.head - store.oldest }],
  });
  metrics.counter({
    name: "retina_malformed_events_total",
    help: "Records of the kernel's ring that were too short to be an event",
    read: () => [{ value: sink.malformed }],
  });
  metrics.gauge({
    name: "retina_ip_cache_entries",
    help: "Addresses and CIDRs in the identity cache",
    read: () => [{ value: ipCache.size }],
  });
  metrics.counter({
    name: "retina_hubble_overtaken_events_total",
    help: "Events that clients were told they missed (HUBBLE_RING_BUFFER), because they read slower than events came",
    read: () => [{ value: hubble.overtaken }],
  });
  metrics.gauge({
    name: "retina_hubble_connections",
    help: "Connections of Hubble clients",
    read: () => [{ value: hubble.connections }],
  });
  metrics.gauge({
    name: "retina_hubble_streams",
    help: "Streams of Hubble clients in progress",
    read: () => [{ value: hubble.streams }],
  });
  metrics.gauge({
    name: "retina_event_loop_delay_seconds",
    help: "How late timers ran: the latest delay, and the largest since the last scrape",
    labels: ["stat"],
    read: () => {
      const { last, max } = delay.read();
      return [{ labels: { stat: "last" }, value: last }, { labels: { stat: "max" }, value: max }];
    },
  });
}
