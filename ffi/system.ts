import { toCString } from "./cstring.ts";
import { SystemError } from "./error.ts";
import { readKernelFile } from "./files.ts";
import { errno, libc } from "./libc.ts";

/** Clock numbers of `clock_gettime(2)`. */
export const Clock = { REALTIME: 0, MONOTONIC: 1, BOOTTIME: 7 } as const;
/** One of {@link Clock}. */
export type Clock = typeof Clock[keyof typeof Clock];

const SC_PAGESIZE = 30;
const SC_NPROCESSORS_ONLN = 84;

const timespec = new BigInt64Array(new ArrayBuffer(16));

/** Time of a clock in nanoseconds. */
export function clockNanos(clock: Clock): bigint {
  if (libc().clock_gettime(clock, timespec) !== 0) throw new SystemError(`Read clock ${clock}`, errno());
  return timespec[0] * 1_000_000_000n + timespec[1];
}

/**
 * CLOCK_REALTIME − another clock, in nanoseconds: what turns a kernel time stamp into wall time.
 *
 * The two clocks cannot be read at one instant, so wall time is read between two readings of the other clock, a few times, and the
 * closest pair wins. A preemption between two readings would otherwise stand as an error in every flow until the next reading.
 */
export function wallOffsetNanos(clock: Clock): bigint {
  let best = 0n;
  let bestGap = -1n;
  for (let attempt = 0; attempt < 3; attempt++) {
    const before = clockNanos(clock);
    const wall = clockNanos(Clock.REALTIME);
    const gap = clockNanos(clock) - before;
    if (bestGap < 0n || gap < bestGap) {
      bestGap = gap;
      best = wall - before - gap / 2n;
    }
  }
  return best;
}

/** Size of a memory page in bytes. */
export function pageSize(): number {
  return Number(libc().sysconf(SC_PAGESIZE));
}

/** Number of CPUs that are online. */
export function onlineCpuCount(): number {
  return Number(libc().sysconf(SC_NPROCESSORS_ONLN));
}

/**
 * Numbers in a list of the form that `/sys/devices/system/cpu/online` has, for instance `0-3,6`.
 *
 * @throws {SyntaxError} for any other form.
 */
export function parseCpuList(text: string): number[] {
  const cpus: number[] = [];
  for (const range of text.trim().split(",")) {
    const match = /^(\d+)(?:-(\d+))?$/.exec(range);
    if (match === null) {
      throw new SyntaxError(`Cannot read CPU list ${JSON.stringify(text)}: expected a form like 0-3,6`);
    }
    const first = Number(match[1]);
    const last = Number(match[2] ?? match[1]);
    for (let cpu = first; cpu <= last; cpu++) cpus.push(cpu);
  }
  return cpus;
}

/** Numbers of the CPUs that are online, from sysfs. */
export function onlineCpus(): number[] {
  return parseCpuList(readKernelFile("/sys/devices/system/cpu/online"));
}

/** Index of a network interface of this network namespace, or 0 when there is none of that name. */
export function interfaceIndex(name: string): number {
  return libc().if_nametoindex(toCString(name));
}

const SIG_SETMASK = 2;
/** Size of glibc's sigset_t. */
const SIGSET_SIZE = 128;

/**
 * Runs a function while this thread takes no signals; they come afterwards.
 *
 * For system calls that give up when a signal is pending, as the verifier does: V8's profiler sends a thousand a second.
 */
export function withoutSignals<T>(run: () => T): T {
  const before = new Uint8Array(SIGSET_SIZE);
  libc().pthread_sigmask(SIG_SETMASK, new Uint8Array(SIGSET_SIZE).fill(0xff), before);
  try {
    return run();
  } finally {
    libc().pthread_sigmask(SIG_SETMASK, before, null);
  }
}

const RLIMIT_NOFILE = 7;

/**
 * Raises the limit of open files of this process to what it may be without a privilege. Returns the limit.
 *
 * An attachment by TCX is a file descriptor, two for each pod, and the usual limit of 1024 is for programs that use `select(2)`.
 */
export function raiseFileLimit(): number {
  const limit = new BigUint64Array(new ArrayBuffer(16)); // struct rlimit64 {soft, hard}
  if (libc().prlimit64(0, RLIMIT_NOFILE, null, limit) !== 0) {
    throw new SystemError("Read the limit of open files", errno());
  }
  if (limit[0] < limit[1]) {
    limit[0] = limit[1];
    if (libc().prlimit64(0, RLIMIT_NOFILE, limit, null) !== 0) {
      throw new SystemError(`Raise the limit of open files to ${limit[1]}`, errno());
    }
  }
  return Number(limit[0]);
}
