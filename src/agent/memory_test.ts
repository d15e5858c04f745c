import assert from "node:assert/strict";
import { libc } from "../../ffi/libc.ts";
import { collectStartGarbage, releaseStartMemory } from "./memory.ts";

// Opened here, because it stays open and a test would be blamed for it.
libc();

Deno.test("collectStartGarbage() collects everything where V8 lets it", () => {
  const scope = globalThis as { gc?: unknown };
  const before = scope.gc;
  const calls: unknown[] = [];
  try {
    scope.gc = (options: unknown) => calls.push(options);
    collectStartGarbage();
    delete scope.gc;
    collectStartGarbage();
  } finally {
    if (before !== undefined) scope.gc = before;
  }
  assert.deepEqual(calls, [{ type: "major", execution: "sync", flavor: "last-resort" }]);
});

Deno.test("releaseStartMemory() never fails", () => {
  releaseStartMemory();
  releaseStartMemory();
});
