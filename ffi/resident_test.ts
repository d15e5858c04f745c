import assert from "node:assert/strict";
import { readKernelFile } from "./files.ts";
import { libc } from "./libc.ts";
import { releaseUnusedMemory, unchangedFileRegions } from "./resident.ts";

// Opened here, because it stays open and a test would be blamed for it.
libc();

/** A region as /proc/PID/smaps has it, shortened. */
function region(head: string, anonymousKb: number): string {
  return `${head}\nSize:                 64 kB\nRss:                  64 kB\nAnonymous:  ${
    `${anonymousKb}`.padStart(12)
  } kB\n` +
    `KSM:                   0 kB\nLazyFree:              0 kB\nVmFlags: rd ex mr mw me sd`;
}

Deno.test("unchangedFileRegions() takes files that nothing was written to, and nothing else", () => {
  const smaps = [
    region("1000-3000 r-xp 00000000 fe:00 77                     /usr/bin/deno", 0),
    region("3000-4000 r--p 00002000 fe:00 77                     /usr/bin/deno", 4), // relocated, then protected
    region("4000-5000 rw-p 00003000 fe:00 77                     /usr/bin/deno", 0),
    region("5000-6000 rw-p 00000000 00:00 0                      [heap]", 0),
    region("6000-7000 rwxp 00000000 00:00 0 ", 0),
    region("7000-8000 r--s 00001000 00:10 12                     anon_inode:bpf-map", 0),
    region("8000-9000 r-xp 00000000 00:01 5                      /memfd:code (deleted)", 0),
    region("9000-a000 r--s 00000000 00:05 6                      /dev/some", 0),
    region("7ffff0000000-7ffff0001000 r--s 00000000 fe:00 78     /var/cache/a b.db", 0),
    region("ffffffffff600000-ffffffffff601000 --xp 00000000 00:00 0 [vsyscall]", 0),
  ].join("\n");
  assert.deepEqual(unchangedFileRegions(smaps), [
    { from: 0x1000n, to: 0x3000n },
    { from: 0x7ffff0000000n, to: 0x7ffff0001000n },
  ]);
  assert.deepEqual(unchangedFileRegions(""), []);
});

Deno.test("releaseUnusedMemory() takes pages of files away, and the program goes on", () => {
  const resident = () => Number(/^RssFile:\s+(\d+) kB$/m.exec(readKernelFile("/proc/self/status"))?.[1]);
  const before = resident();
  releaseUnusedMemory();
  const after = resident();
  assert.ok(after < before * 0.75, `${before} kB of files before, ${after} kB after`);
  releaseUnusedMemory();
  // Code that has not run yet, of the program and of a library that it loads.
  const numbers = Array.from({ length: 1000 }, (_, i) => i * 7919 % 1000);
  assert.equal(new Intl.NumberFormat("en").format(numbers.sort((a, b) => a - b)[999]), "999");
  assert.equal(new TextDecoder("utf-16le").decode(Uint8Array.of(0x61, 0, 0x62, 0)), "ab");
  assert.throws(() => JSON.parse("{"), SyntaxError);
});
