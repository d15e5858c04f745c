/** Bindings of the C library: mappings, sockets, clocks. No logic but the reading of `errno`. */

const symbols = {
  // sys/mman.h
  mmap: {
    parameters: [
      "pointer", // void *addr
      "usize", // size_t length
      "i32", // int prot
      "i32", // int flags
      "i32", // int fd
      "i64", // off_t offset
    ],
    result: "pointer", // void *; all bits set on error
  },
  munmap: {
    parameters: [
      "pointer", // void *addr
      "usize", // size_t length
    ],
    result: "i32",
  },
  madvise: {
    parameters: [
      "usize", // void *addr, which nothing here dereferences
      "usize", // size_t length
      "i32", // int advice
    ],
    result: "i32",
  },
  // malloc.h
  malloc_trim: {
    parameters: [
      "usize", // size_t pad
    ],
    result: "i32",
  },
  // fcntl.h; variadic, but the mode is read only when a file is made
  open: {
    parameters: [
      "buffer", // const char *path
      "i32", // int flags
    ],
    result: "i32",
  },
  // dirent.h
  getdents64: {
    parameters: [
      "i32", // int fd
      "buffer", // void *buf
      "usize", // size_t size
    ],
    result: "isize", // ssize_t
  },
  // unistd.h
  read: {
    parameters: [
      "i32", // int fd
      "buffer", // void *buf
      "usize", // size_t count
    ],
    result: "isize", // ssize_t
  },
  close: {
    parameters: [
      "i32", // int fd
    ],
    result: "i32",
  },
  sysconf: {
    parameters: [
      "i32", // int name
    ],
    result: "i64", // long
  },
  syscall: {
    // Variadic in C. Integer arguments of a variadic call travel like those of a fixed one on x86-64 and on arm64 Linux.
    parameters: [
      "i64", // long number
      "buffer", // first argument
      "i64",
      "i64",
      "i64",
      "i64",
    ],
    result: "i64", // long
  },
  // signal.h
  pthread_sigmask: {
    parameters: [
      "i32", // int how
      "buffer", // const sigset_t *set
      "buffer", // sigset_t *oldset
    ],
    result: "i32",
  },
  // sys/resource.h
  prlimit64: {
    parameters: [
      "i32", // pid_t pid; 0 is this process
      "i32", // int resource
      "buffer", // const struct rlimit64 *new_limit
      "buffer", // struct rlimit64 *old_limit
    ],
    result: "i32",
  },
  // sys/ioctl.h; variadic as well
  ioctl: {
    parameters: [
      "i32", // int fd
      "u64", // unsigned long request
      "i64", // argument
    ],
    result: "i32",
  },
  // sys/socket.h
  socket: {
    parameters: [
      "i32", // int domain
      "i32", // int type
      "i32", // int protocol
    ],
    result: "i32",
  },
  bind: {
    parameters: [
      "i32", // int fd
      "buffer", // const struct sockaddr *addr
      "u32", // socklen_t addrlen
    ],
    result: "i32",
  },
  setsockopt: {
    parameters: [
      "i32", // int fd
      "i32", // int level
      "i32", // int name
      "buffer", // const void *value
      "u32", // socklen_t length
    ],
    result: "i32",
  },
  send: {
    parameters: [
      "i32", // int fd
      "buffer", // const void *buf
      "usize", // size_t len
      "i32", // int flags
    ],
    result: "isize", // ssize_t
  },
  recv: {
    parameters: [
      "i32", // int fd
      "buffer", // void *buf
      "usize", // size_t len
      "i32", // int flags
    ],
    result: "isize", // ssize_t
  },
  // net/if.h
  if_nametoindex: {
    parameters: [
      "buffer", // const char *ifname
    ],
    result: "u32", // 0 on error
  },
  // time.h
  clock_gettime: {
    parameters: [
      "i32", // clockid_t clock
      "buffer", // struct timespec *tp
    ],
    result: "i32",
  },
  // stdio.h
  vsnprintf: {
    parameters: [
      "buffer", // char *str
      "usize", // size_t size
      "pointer", // const char *format
      "pointer", // va_list, passed by reference on x86-64 and arm64
    ],
    result: "i32",
  },
  // errno.h
  __errno_location: {
    parameters: [],
    result: "pointer", // int *
  },
} as const satisfies Deno.ForeignLibraryInterface;

/** The bound functions of the C library. */
export type Libc = Deno.DynamicLibrary<typeof symbols>["symbols"];

let opened: Libc | undefined;
let errnoCell: Int32Array | undefined;

/**
 * The C library of the process, opened at the first call and kept open for ever.
 *
 * @throws {Error} when there is no glibc, or Deno may not load it (`--allow-ffi`).
 */
export function libc(): Libc {
  opened ??= Deno.dlopen("libc.so.6", symbols).symbols;
  return opened;
}

/**
 * `errno` of this thread. Read it at once after the call that failed.
 *
 * The address of a thread's errno does not change and JavaScript stays on one thread, so the cell is wrapped once.
 */
export function errno(): number {
  if (errnoCell === undefined) {
    const address = libc().__errno_location();
    if (address === null) return 0;
    errnoCell = new Int32Array(Deno.UnsafePointerView.getArrayBuffer(address, 4));
  }
  return errnoCell[0];
}
