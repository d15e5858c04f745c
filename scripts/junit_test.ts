import assert from "node:assert/strict";
import { avoidableSkips, readReport, sum } from "./junit.ts";

const REPORT = `<?xml version="1.0" encoding="UTF-8"?>
<testsuites name="deno test" tests="5" failures="1" errors="0" time="0.030">
    <testsuite name="./x_test.ts" tests="5" disabled="2" errors="0" failures="1">
        <testcase name="leak" classname="./x_test.ts" time="0.001" line="1" col="6">
            <failure message="Leaks detected">A file &lt;skipped/&gt; was opened.</failure>
        </testcase>
        <testcase name="a &amp; &quot;b&quot; [skipped: kernel: 5.4 is older than 6.6]" classname="./x_test.ts">
            <skipped/>
        </testcase>
        <testcase name="whole" classname="./x_test.ts" time="0.015" line="3" col="6">
        </testcase>
        <testcase name="short" classname="./x_test.ts"/>
        <testcase name="no reason" classname="./x_test.ts">
            <skipped/>
        </testcase>
    </testsuite>
</testsuites>`;

Deno.test("readReport() counts what passed, failed and was skipped", () => {
  assert.deepEqual(readReport(REPORT), {
    passed: 2,
    failed: 1,
    skipped: ['a & "b" [skipped: kernel: 5.4 is older than 6.6]', "no reason"],
  });
});

Deno.test("readReport() finds nothing in an empty report", () => {
  assert.deepEqual(readReport('<testsuites name="deno test" tests="0"></testsuites>'), {
    passed: 0,
    failed: 0,
    skipped: [],
  });
});

Deno.test("sum() adds reports", () => {
  const one = { passed: 1, failed: 2, skipped: ["a"] };
  assert.deepEqual(sum([one, { passed: 10, failed: 0, skipped: ["b"] }]), {
    passed: 11,
    failed: 2,
    skipped: ["a", "b"],
  });
});

Deno.test("avoidableSkips() excuses the kernel only", () => {
  assert.deepEqual(
    avoidableSkips(["a [skipped: kernel: no TCX]", "b [skipped: machine: Go not found]", "c"]),
    ["b [skipped: machine: Go not found]", "c"],
  );
});
