import assert from "node:assert/strict";
import { libc } from "./libc.ts";
import {
  Clock,
  clockNanos,
  interfaceIndex,
  onlineCpuCount,
  onlineCpus,
  pageSize,
  parseCpuList,
  raiseFileLimit,
  wallOffsetNanos,
  withoutSignals,
} from "./system.ts";

libc();

Deno.test("clockNanos() reads wall time and clocks that never go back", () => {
  const wall = Number(clockNanos(Clock.REALTIME) / 1_000_000n);
  assert.ok(Math.abs(wall - Date.now()) < 60_000);
  const before = clockNanos(Clock.BOOTTIME);
  assert.ok(clockNanos(Clock.BOOTTIME) >= before);
  assert.throws(() => clockNanos(99 as Clock), /Read clock 99: EINVAL/);
});

Deno.test("wallOffsetNanos() plus the clock is wall time", () => {
  for (const clock of [Clock.BOOTTIME, Clock.MONOTONIC]) {
    const wall = Number((wallOffsetNanos(clock) + clockNanos(clock)) / 1_000_000n);
    assert.ok(Math.abs(wall - Date.now()) < 60_000);
  }
});

Deno.test("parseCpuList() reads ranges and refuses other text", () => {
  assert.deepEqual(parseCpuList("0\n"), [0]);
  assert.deepEqual(parseCpuList("0-2,5,8-9"), [0, 1, 2, 5, 8, 9]);
  assert.throws(() => parseCpuList("0-"), SyntaxError);
  assert.throws(() => parseCpuList(""), SyntaxError);
});

Deno.test("the machine has pages, CPUs and a loopback interface", () => {
  assert.ok(pageSize() >= 4096);
  assert.equal(onlineCpus().length, onlineCpuCount());
  assert.ok(interfaceIndex("lo") > 0);
  assert.equal(interfaceIndex("no-such-if"), 0);
});

Deno.test("raiseFileLimit() makes the soft limit the hard one", () => {
  const limits = () => /^Max open files\s+(\d+)\s+(\d+)/m.exec(Deno.readTextFileSync("/proc/self/limits"));
  const hard = Number(limits()?.[2]);
  assert.equal(raiseFileLimit(), hard);
  assert.equal(Number(limits()?.[1]), hard);
});

Deno.test("withoutSignals() blocks every signal that can be blocked, and gives the mask back", () => {
  const blocked = () => /^SigBlk:\s+([0-9a-f]+)/m.exec(Deno.readTextFileSync("/proc/thread-self/status"))?.[1];
  const before = blocked();
  const during = withoutSignals(() => BigInt(`0x${blocked()}`));
  const [SIGINT, SIGPROF, SIGTERM] = [2, 27, 15];
  for (const signal of [SIGINT, SIGPROF, SIGTERM]) {
    assert.equal((during >> BigInt(signal - 1)) & 1n, 1n, `signal ${signal}`);
  }
  assert.equal(blocked(), before);
  assert.throws(() =>
    withoutSignals(() => {
      throw new Error("no");
    }), /^Error: no$/);
  assert.equal(blocked(), before);
});
