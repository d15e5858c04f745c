import assert from "node:assert/strict";
import { cpuSeconds, metricSum, nanosecondsPerRun, parseProgram, residentBytes } from "./measure.ts";

Deno.test("parseProgram() reads the fdinfo of a program and of nothing else", () => {
  const fdinfo = "pos:\t0\nflags:\t02000002\nprog_type:\t3\nprog_id:\t17\nrun_time_ns:\t5000\nrun_cnt:\t40\n";
  assert.deepEqual(parseProgram(fdinfo), { id: 17, count: 40, nanoseconds: 5000 });
  assert.equal(parseProgram("pos:\t0\nmap_type:\t27\nmap_id:\t3\n"), undefined);
});

Deno.test("nanosecondsPerRun() counts from the first reading on", () => {
  const before = new Map([[1, { count: 10, nanoseconds: 1000 }]]);
  const after = new Map([[1, { count: 20, nanoseconds: 3000 }], [2, { count: 10, nanoseconds: 1000 }]]);
  assert.equal(nanosecondsPerRun(before, after), 150);
});

Deno.test("metricSum() adds the samples with the wanted labels", () => {
  const text = '# TYPE a_total counter\na_total{x="1",y="2"} 3\na_total{x="2"} 4\nab_total 9\n';
  assert.equal(metricSum(text, "a_total"), 7);
  assert.equal(metricSum(text, "a_total", { x: "1" }), 3);
  assert.equal(metricSum(text, "missing"), 0);
});

Deno.test("cpuSeconds() and residentBytes() read this process", () => {
  const begin = cpuSeconds(Deno.pid);
  for (const end = performance.now() + 60; performance.now() < end;);
  assert(cpuSeconds(Deno.pid) > begin);
  assert(residentBytes(Deno.pid) > 1 << 20);
});
