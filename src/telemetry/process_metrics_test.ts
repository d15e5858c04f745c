import assert from "node:assert/strict";
import { Metrics } from "./metrics.ts";
import { registerProcessMetrics } from "./process_metrics.ts";

Deno.test("registerProcessMetrics() shows this process under the usual names", async () => {
  const metrics = new Metrics();
  const counted: string[] = [];
  registerProcessMetrics(metrics, {
    read: () => "VmRSS:\t 100 kB\nVmSize:\t 200 kB\n",
    count: (path) => counted.push(path) + 41,
  });
  const { body } = await metrics.render();
  const value = (name: string) => Number(new RegExp(`^${name} (.*)$`, "m").exec(body)?.[1]);
  assert.equal(value("process_resident_memory_bytes"), 102_400);
  assert.equal(value("process_virtual_memory_bytes"), 204_800);
  assert.equal(value("process_open_fds"), 42);
  assert.deepEqual(counted, ["/proc/self/fd"]);
  assert.ok(value("process_cpu_seconds_total") > 0);
  assert.ok(Math.abs(value("process_start_time_seconds") - Date.now() / 1000) < 3600);
  assert.ok(value("nodejs_heap_size_used_bytes") <= value("nodejs_heap_size_total_bytes"));
});
