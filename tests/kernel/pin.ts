/** Keeps the thread of a test on one CPU: a perf ring belongs to a CPU, and a test that fills one must not move to another. */

/** 1024 CPUs, as glibc's cpu_set_t. */
const MASK_BYTES = 128;

const libc = Deno.dlopen("libc.so.6", {
  sched_getaffinity: { parameters: ["i32", "usize", "buffer"], result: "i32" }, // pid 0: this thread
  sched_setaffinity: { parameters: ["i32", "usize", "buffer"], result: "i32" },
}).symbols;

/** Pins this thread to the first CPU that it may use, until disposed. */
export function pinned(): Disposable {
  const before = new Uint8Array(MASK_BYTES);
  if (libc.sched_getaffinity(0, BigInt(MASK_BYTES), before) !== 0) throw new Error("Cannot read the CPU affinity");
  const byte = before.findIndex((bits) => bits !== 0);
  const one = new Uint8Array(MASK_BYTES);
  one[byte] = before[byte] & -before[byte];
  set(one);
  return { [Symbol.dispose]: () => set(before) };
}

function set(mask: Uint8Array<ArrayBuffer>): void {
  if (libc.sched_setaffinity(0, BigInt(MASK_BYTES), mask) !== 0) throw new Error("Cannot set the CPU affinity");
}
