import assert from "node:assert/strict";
import { parseLdd } from "./libraries.ts";

Deno.test("parseLdd() takes resolved libraries and the loader, not the kernel's own", () => {
  const output = `
\tlinux-vdso.so.1 (0x00007f0f369db000)
\tlibbpf.so.1 => /lib/x86_64-linux-gnu/libbpf.so.1 (0x00007f0f3687b000)
\tlibc.so.6 => /lib/x86_64-linux-gnu/libc.so.6 (0x00007f0f36652000)
\t/lib64/ld-linux-x86-64.so.2 (0x00007f0f369dd000)
`;
  assert.deepEqual(parseLdd(output), [
    "/lib/x86_64-linux-gnu/libbpf.so.1",
    "/lib/x86_64-linux-gnu/libc.so.6",
    "/lib64/ld-linux-x86-64.so.2",
  ]);
});

Deno.test("parseLdd() of a static program is empty", () => {
  assert.deepEqual(parseLdd("\tnot a dynamic executable\n"), []);
});

Deno.test("parseLdd() names a missing library", () => {
  assert.throws(() => parseLdd("\tlibfoo.so.2 => not found\n"), /libfoo\.so\.2/);
});
