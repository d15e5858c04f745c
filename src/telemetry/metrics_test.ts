import assert from "node:assert/strict";
import { EVENT, SLOT_SIZE } from "../flow/record.ts";
import { FlowMetrics } from "./flow_metrics.ts";
import { Metrics, registerFlowMetrics } from "./metrics.ts";

const lines = (body: string, name: string) => body.split("\n").filter((line) => line.startsWith(name));

Deno.test("Metrics reads its sources at every scrape and forgets series that are gone", async () => {
  const metrics = new Metrics();
  const flows = new FlowMetrics();
  registerFlowMetrics(metrics, flows);
  const u8 = new Uint8Array(SLOT_SIZE);
  u8.set([6], EVENT.protocol);
  u8.set([2], EVENT.traffic_direction);
  u8.set([2], EVENT.tcp_flags);
  u8.set([60], EVENT.bytes);
  flows.record(u8, new Uint16Array(u8.buffer), new Uint32Array(u8.buffer), 0);
  const { body } = await metrics.render();
  assert.deepEqual(lines(body, "hubble_flows_processed_total"), [
    'hubble_flows_processed_total{protocol="TCP",type="Trace",subtype="from-endpoint",verdict="FORWARDED"} 1',
  ]);
  assert.deepEqual(lines(body, "networkobservability_forward_bytes_total"), [
    'networkobservability_forward_bytes_total{direction="egress",observation_point="from-endpoint"} 60',
  ]);
  assert.deepEqual(lines(body, "hubble_tcp_flags_total"), ['hubble_tcp_flags_total{flag="SYN",family="IPv4"} 1']);
});
