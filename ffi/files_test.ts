import assert from "node:assert/strict";
import { SystemError } from "./error.ts";
import { libc } from "./libc.ts";
import { countEntries, readKernelFile } from "./files.ts";

// Opened here, because it stays open and a test would be blamed for it.
libc();

Deno.test("readKernelFile() reads files that have no size", () => {
  assert.match(readKernelFile("/proc/self/status"), /^VmRSS:\s+\d+ kB$/m);
  assert.match(readKernelFile("/sys/devices/system/cpu/online"), /^\d/);
});

Deno.test("readKernelFile() reads files that are longer than its buffer", () => {
  const path = Deno.makeTempFileSync();
  try {
    const text = "grün ".repeat(50_000);
    Deno.writeTextFileSync(path, text);
    assert.equal(readKernelFile(path), text);
  } finally {
    Deno.removeSync(path);
  }
});

Deno.test("readKernelFile() names the file and the reason", () => {
  assert.throws(
    () => readKernelFile("/proc/self/nothing"),
    (error: unknown) =>
      error instanceof SystemError && error.code === "ENOENT" && /\/proc\/self\/nothing/.test(error.message),
  );
  assert.throws(() => readKernelFile("/proc/self"), { code: "EISDIR" });
});

Deno.test("countEntries() counts this process's open files", () => {
  const before = countEntries("/proc/self/fd");
  {
    using _file = Deno.openSync("/proc/self/status");
    assert.equal(countEntries("/proc/self/fd"), before + 1);
  }
  assert.equal(countEntries("/proc/self/fd"), before);
  assert.throws(() => countEntries("/proc/self/status"), { code: "ENOTDIR" });
});
