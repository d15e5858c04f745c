import { toCString } from "./cstring.ts";
import { SystemError } from "./error.ts";
import { errno, libc } from "./libc.ts";

/**
 * Files of /proc and /sys, read through the C library: Deno's own functions read them with `--allow-all` only, whatever
 * `--allow-read` says. The permission that counts here is `--allow-ffi`.
 */

const O_RDONLY = 0;
const O_CLOEXEC = 0o2000000;
const CHUNK = 65_536;

/**
 * Reads a file of the kernel as text. Such a file has no size, so it is read until it ends.
 * @throws {SystemError} when it cannot be opened or read.
 */
export function readKernelFile(path: string): string {
  return withFile(path, (fd) => {
    const decoder = new TextDecoder();
    const buffer = new Uint8Array(CHUNK);
    let text = "";
    for (;;) {
      const length = Number(libc().read(fd, buffer, BigInt(buffer.length)));
      if (length < 0) throw new SystemError(`Read ${path}`, errno());
      if (length === 0) return text + decoder.decode();
      text += decoder.decode(buffer.subarray(0, length), { stream: true });
    }
  });
}

/**
 * Number of entries of a directory, `.` and `..` not counted: `/proc/self/fd` has one for each open file.
 * @throws {SystemError} when it cannot be opened or read.
 */
export function countEntries(path: string): number {
  return withFile(path, (fd) => {
    const buffer = new Uint8Array(CHUNK);
    const view = new DataView(buffer.buffer);
    let entries = 0;
    for (;;) {
      const length = Number(libc().getdents64(fd, buffer, BigInt(buffer.length)));
      if (length < 0) throw new SystemError(`List ${path}`, errno());
      if (length === 0) return Math.max(0, entries - 2);
      // struct linux_dirent64: inode, offset, then the record's length at 16
      for (let at = 0; at < length; at += view.getUint16(at + 16, true)) entries++;
    }
  });
}

function withFile<Result>(path: string, use: (fd: number) => Result): Result {
  const fd = libc().open(toCString(path), O_RDONLY | O_CLOEXEC);
  if (fd < 0) throw new SystemError(`Open ${path}`, errno());
  try {
    return use(fd);
  } finally {
    libc().close(fd);
  }
}
