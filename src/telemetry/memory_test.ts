import assert from "node:assert/strict";
import { parseProcFields, readMemory, readStatus, summarizeMaps } from "./memory.ts";

Deno.test("parseProcFields() turns kB into bytes and leaves bare numbers alone", () => {
  const text = "Name:\tdeno\nVmRSS:\t    1024 kB\nThreads:\t7\nVmBroken:\tx kB\n";
  assert.deepEqual(parseProcFields(text, { VmRSS: "rss", Threads: "threads", VmBroken: "broken", Name: "name" }), {
    rss: 1024 * 1024,
    threads: 7,
  });
});

Deno.test("summarizeMaps() sorts regions by what backs them", () => {
  const maps = summarizeMaps([
    "7f0000000000-7f0000002000 rw-s 00000000 00:0e 12 anon_inode:bpf-ringbuf",
    "7f0000002000-7f0000003000 rw-s 00000000 00:0e 13 anon_inode:bpf-map",
    "7f0000003000-7f0000004000 r-xp 00000000 08:01 99 /usr/lib/x86_64-linux-gnu/libbpf.so.1.1.0",
    "7f0000004000-7f0000005000 rw-p 00000000 00:00 0 ",
    "7f0000005000-7f0000006000 rw-p 00000000 00:00 0 [heap]",
    "7f0000006000-7f0000007000 rw-p 00000000 00:00 0 [anon: v8]",
    "not a maps line",
  ].join("\n"));
  assert.deepEqual(maps.ring_buffer, { regions: 1, bytes: 0x2000 });
  assert.deepEqual(maps.bpf_map, { regions: 1, bytes: 0x1000 });
  assert.deepEqual(maps.shared_library, { regions: 1, bytes: 0x1000 });
  assert.deepEqual(maps.anonymous, { regions: 2, bytes: 0x2000 });
  assert.deepEqual(maps.heap, { regions: 1, bytes: 0x1000 });
  assert.equal(maps.other.regions, 0);
});

const read = (path: string) => Deno.readTextFileSync(path);

Deno.test("readMemory() reports this process", () => {
  const memory = readMemory(read);
  assert.ok(memory.status.rss > 10 * 1024 * 1024, `resident set of ${memory.status.rss} bytes`);
  assert.ok(memory.status.vm_size >= memory.status.rss);
  assert.ok(memory.heap.used > 0 && memory.heap.used <= memory.heap.total);
});

Deno.test("readMemory() does without the optional files, not without the status", () => {
  const only = (kept: string) => (path: string) => {
    if (path !== kept) throw new Error(`no ${path}`);
    return read(path);
  };
  const memory = readMemory(only("/proc/self/status"));
  assert.equal(memory.smaps, undefined);
  assert.equal(memory.maps, undefined);
  assert.throws(() => readMemory(only("/proc/self/maps")), /no \/proc\/self\/status/);
});

Deno.test("readStatus() has the resident set and the threads", () => {
  const status = readStatus(read);
  assert.ok(status.rss > 0 && status.threads > 0);
});
