import { readKernelFile } from "./files.ts";
import { libc } from "./libc.ts";

/** MADV_COLD and MADV_DONTNEED of include/uapi/asm-generic/mman-common.h. */
const MADV_COLD = 20;
const MADV_DONTNEED = 4;

/** A part of the address space: from the first byte to the one after the last. */
export interface Region {
  readonly from: bigint;
  readonly to: bigint;
}

/**
 * The regions that hold nothing but unchanged pages of files, from the text of /proc/self/smaps (proc(5)): the code and
 * constants of the program and its libraries. Taken away, such a page comes back from the file, or the page cache, at the
 * next access. Left out are regions that can be written to, or were: the loader's relocations are in memory only.
 */
export function unchangedFileRegions(smaps: string): Region[] {
  const regions: Region[] = [];
  let candidate: Region | undefined;
  for (const line of smaps.split("\n")) {
    const head = /^([0-9a-f]+)-([0-9a-f]+) (\S{4}) \S+ \S+ \d+ +(.*)$/.exec(line);
    if (head !== null) {
      const [, from, to, access, path] = head;
      const file = path.startsWith("/") && !/^\/(memfd:|dev\/)/.test(path) && !access.includes("w");
      candidate = file ? { from: BigInt(`0x${from}`), to: BigInt(`0x${to}`) } : undefined;
    } else if (candidate !== undefined && /^Anonymous:/.test(line)) {
      if (/^Anonymous:\s+0 kB$/.test(line)) regions.push(candidate);
      candidate = undefined;
    }
  }
  return regions;
}

/**
 * Gives back to the kernel what this process has mapped or allocated and does not use now: pages of files, of which a
 * program touches many at its start and never again, and what the C library keeps of freed memory. What is needed after
 * all comes back by itself, page by page. The pages of files are marked as cold first, so that the kernel drops them before
 * others when memory gets scarce. Takes some milliseconds.
 *
 * @throws {SystemError} when /proc/self/smaps cannot be read.
 */
export function releaseUnusedMemory(): void {
  libc().malloc_trim(0n);
  for (const { from, to } of unchangedFileRegions(readKernelFile("/proc/self/smaps"))) {
    // Advice only: a kernel before 5.4 does not know the first one, and a locked region refuses the second.
    libc().madvise(from, to - from, MADV_COLD);
    libc().madvise(from, to - from, MADV_DONTNEED);
  }
}
