import assert from "node:assert/strict";
import { formatTable, kernelComplaints, parseReports, replaceMatrix, type Report, rowsOf } from "./report.ts";

const pass: Report = {
  kind: "case",
  variant: "ring",
  mode: "tcx",
  result: "pass",
  detail: "",
  loadMs: 12.4,
  events: 30,
  packets: 99,
};
const fail: Report = { kind: "case", variant: "perf", mode: "tcx", result: "fail", detail: "Load: EINVAL | x\nlog" };
const absent: Report = { kind: "case", variant: "ring", mode: "tcx", result: "absent", detail: "EINVAL" };

Deno.test("parseReports() reads the guest's lines and nothing else", () => {
  const end: Report = { kind: "end", release: "6.1.0", cpus: 2 };
  const text = `noise\r\n${JSON.stringify(pass)}\r\n{"kind":"other"}\r\n[1]\n${JSON.stringify(end)}\n{"kind":"ca`;
  assert.deepEqual(parseReports(text), [pass, end]);
  assert.deepEqual(parseReports(""), []);
});

Deno.test("kernelComplaints() finds what a healthy kernel does not print", () => {
  const console = [
    "[    0.000000] Linux version 6.1.0",
    "[    4.1] WARNING: CPU: 0 PID: 1 at kernel/bpf/verifier.c:1",
    "[    4.2] BUG: kernel NULL pointer dereference",
    "[    4.3] Kernel panic - not syncing",
    "[    4.4] debugging enabled",
  ].join("\r\n");
  assert.deepEqual(kernelComplaints(console), [
    "[    4.1] WARNING: CPU: 0 PID: 1 at kernel/bpf/verifier.c:1",
    "[    4.2] BUG: kernel NULL pointer dereference",
    "[    4.3] Kernel panic - not syncing",
  ]);
});

Deno.test("rowsOf() gives a row for each case and one for a guest that died", () => {
  const rows = rowsOf(
    "6.1.1-1",
    [pass, fail, absent, { kind: "end", release: "6.1", cpus: 1 }],
    "took longer than 1 s",
  );
  assert.deepEqual(rows.map((row) => row.result), [
    "pass",
    "FAIL: Load: EINVAL | x",
    "not in this kernel",
    "FAIL: took longer than 1 s",
  ]);
  assert.deepEqual([rows[0].load, rows[0].events, rows[0].packets, rows[1].load], ["12 ms", "30", "99", ""]);
});

Deno.test("formatTable() aligns the columns and escapes bars", () => {
  const lines = formatTable(rowsOf("6.1.1-1", [pass, fail], undefined)).split("\n");
  assert.equal(lines.length, 4);
  assert.equal(new Set(lines.map((line) => line.length)).size, 1);
  assert.match(lines[0], /^\| kernel +\| variant \| attach mode \| result/);
  assert.match(lines[3], /EINVAL \\\| x/);
});

Deno.test("replaceMatrix() replaces what stands between the marks", () => {
  const document = "a\n<!-- matrix -->\nold\n<!-- /matrix -->\nb\n";
  const once = replaceMatrix(document, "new");
  assert.equal(once, "a\n<!-- matrix -->\n\nnew\n\n<!-- /matrix -->\nb\n");
  assert.equal(replaceMatrix(once, "new"), once);
  assert.throws(() => replaceMatrix("nothing", "new"), /matrix/);
});
