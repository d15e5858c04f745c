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

Deno.test("Metrics writes Prometheus' text format", async () => {
  const metrics = new Metrics();
  metrics.gauge({
    name: "odd_values",
    help: "Two\nlines and a \\",
    labels: ["of"],
    read: () => [
      { labels: { of: 'a "quoted" \\ name\n' }, value: 1.5 },
      { labels: { of: "nothing" }, value: NaN },
      { labels: { of: "much" }, value: Infinity },
      { labels: { of: "little" }, value: -Infinity },
    ],
  });
  metrics.counter({ name: "plain_total", help: "No labels", read: () => [{ value: 2 ** 53 }] });
  const { body, contentType } = await metrics.render();
  assert.equal(contentType, "text/plain; version=0.0.4; charset=utf-8");
  assert.equal(
    body,
    String.raw`# HELP odd_values Two\nlines and a \\
# TYPE odd_values gauge
odd_values{of="a \"quoted\" \\ name\n"} 1.5
odd_values{of="nothing"} Nan
odd_values{of="much"} +Inf
odd_values{of="little"} -Inf

# HELP plain_total No labels
# TYPE plain_total counter
plain_total 9007199254740992
`,
  );
});

Deno.test("Metrics adds counters with the same labels up, and takes the last gauge", async () => {
  const metrics = new Metrics();
  const read = () => [{ labels: { a: "x" }, value: 2 }, { labels: { a: "x" }, value: 3 }];
  metrics.counter({ name: "sum_total", help: "Sum", labels: ["a"], read });
  metrics.gauge({ name: "last", help: "Last", labels: ["a"], read });
  const { body } = await metrics.render();
  assert.deepEqual([lines(body, "sum_total{"), lines(body, "last{")], [['sum_total{a="x"} 5'], ['last{a="x"} 3']]);
});

Deno.test("Metrics refuses a name that is none, or taken", () => {
  const metrics = new Metrics();
  const source = { name: "taken", help: "Taken", read: () => [] };
  metrics.gauge(source);
  assert.throws(() => metrics.counter(source), /taken/);
  assert.throws(() => metrics.gauge({ ...source, name: "no name" }), /Invalid metric name/);
});
