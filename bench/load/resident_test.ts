import assert from "node:assert/strict";
import { median, memoryByKind, memoryParts, parseStatus } from "./resident.ts";

Deno.test("parseStatus() reads the parts of the resident set in bytes", () => {
  const status = "Name:\tdeno\nVmRSS:\t   100 kB\nRssAnon:\t    60 kB\nRssFile:\t    39 kB\nRssShmem:\t     1 kB\n";
  assert.deepEqual(parseStatus(status), { resident: 102_400, anonymous: 61_440, file: 39_936, shared: 1024 });
  assert.ok(Number.isNaN(parseStatus("").resident));
});

Deno.test("memoryParts() adds up for this process", () => {
  const { resident, anonymous, file, shared } = memoryParts(Deno.pid);
  assert.ok(resident > 10e6);
  assert.equal(anonymous + file + shared, resident);
});

Deno.test("memoryByKind() tells heaps, code and the kernel's maps apart, the largest first", () => {
  const region = (head: string, kb: number) => `${head}\nSize: 9999 kB\nRss:            ${kb} kB\nPss: 1 kB`;
  const kinds = memoryByKind([
    region("7f0000000000-7f0000040000 rw-p 00000000 00:00 0 ", 8),
    region("7f0000050000-7f0000090000 rw-p 00000000 00:00 0 ", 4),
    region("7f0000090000-7f0000091000 rwxp 00000000 00:00 0 ", 3),
    region("55d000000000-55d000100000 r-xp 00000000 fe:00 7    /opt/deno", 100),
    region("55d000100000-55d000200000 r--p 00100000 fe:00 7    /opt/deno", 50),
    region("55d000200000-55d000300000 rw-p 00200000 fe:00 7    /opt/deno", 20),
    region("55d000400000-55d000500000 rw-p 00000000 00:00 0    [heap]", 40),
    region("7f0000100000-7f0000200000 r--s 00001000 00:10 12   anon_inode:bpf-map", 30),
    region("7f0000200000-7f0000300000 r-xp 00000000 fe:00 8    /lib/libbpf.so.1", 7),
    region("7f0000300000-7f0000400000 r-xp 00001000 fe:00 8    /lib/libc.so", 5),
    region("7f0000400000-7f0000500000 r--s 00001000 fe:00 9    /cache/deno/v8_code_cache_v2", 6),
    region("7ffff0000000-7ffff0001000 rw-p 00000000 00:00 0    [stack]", 2),
  ].join("\n"));
  assert.deepEqual(Object.entries(kinds), [
    ["the program's code", 100 * 1024],
    ["the program's constants", 50 * 1024],
    ["malloc", 40 * 1024],
    ["maps shared with the kernel", 30 * 1024],
    ["the program's data", 20 * 1024],
    ["shared libraries", 12 * 1024],
    ["JavaScript heap and arrays", 8 * 1024],
    ["Deno's caches", 6 * 1024],
    ["other anonymous memory", 4 * 1024],
    ["compiled JavaScript", 3 * 1024],
    ["other", 2 * 1024],
  ]);
});

Deno.test("median() is the middle one, the lower of two", () => {
  assert.equal(median([3, 1, 2]), 2);
  assert.equal(median([4, 1, 2, 3]), 2);
  assert.ok(Number.isNaN(median([])));
});
