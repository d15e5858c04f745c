import { Errno, errnoName } from "./errno.ts";

/** What a {@link SystemError} knows beside its operation and number. */
export interface SystemErrorDetail {
  /** Log of the verifier or of libbpf, several lines. */
  log?: string | undefined;
  /** What the operator of the machine can do. */
  hint?: string | undefined;
}

/** A failed system call or libbpf call. The message is one line; the log is kept apart because it can be very long. */
export class SystemError extends Error {
  override readonly name: string = "SystemError";
  /** What was tried, for instance `Load BPF object "packetparser"`. */
  readonly operation: string;
  /** Positive error number. */
  readonly errno: number;
  /** Name of the error number, for instance `EPERM`. */
  readonly code: string;
  readonly log: string | undefined;
  readonly hint: string | undefined;

  constructor(operation: string, errno: number, detail: SystemErrorDetail = {}) {
    const code = errnoName(errno);
    super(`${operation}: ${code}${detail.hint === undefined ? "" : `: ${detail.hint}`}`);
    this.operation = operation;
    this.errno = errno;
    this.code = code;
    this.log = detail.log;
    this.hint = detail.hint;
  }
}

/** A failed libbpf call. */
export class LibbpfError extends SystemError {
  override readonly name = "LibbpfError";
}

/**
 * What usually mends an error number of the bpf system call.
 *
 * @param log what libbpf said, since the same number means different things (EINVAL of the verifier, EINVAL of a map)
 */
export function bpfHint(errno: number, log = ""): string | undefined {
  if (/BTF is required|vmlinux BTF|kernel BTF/i.test(log) && !log.includes("BEGIN PROG LOAD LOG")) {
    return "the program needs kernel BTF, use a kernel built with CONFIG_DEBUG_INFO_BTF";
  }
  switch (errno) {
    case Errno.EPERM:
      return Deno.uid() === 0
        ? "not permitted although root, grant CAP_BPF, CAP_NET_ADMIN and CAP_PERFMON (CAP_SYS_ADMIN before Linux 5.8) " +
          "and raise the memlock limit (ulimit -l unlimited)"
        : `not permitted for user ${Deno.uid()}, run as root or grant CAP_BPF, CAP_NET_ADMIN and CAP_PERFMON`;
    case Errno.ENOMEM:
      return "the kernel has no memory for this size, use smaller maps or raise the memory limit of the cgroup";
    case Errno.E2BIG:
      return "the value is larger than this kernel takes, use a smaller one";
    case Errno.EACCES:
    case Errno.EINVAL:
      return log.includes("BEGIN PROG LOAD LOG") ? "the verifier rejected a program, see its log" : undefined;
    case Errno.EMFILE:
      return "this process has no file descriptor left, raise its limit of open files (ulimit -n, LimitNOFILE)";
    case Errno.ENODEV:
      return "there is no such interface, it may have been removed meanwhile";
    default:
      return undefined;
  }
}

/**
 * Passes a result of libbpf through when it is not negative.
 *
 * @throws {LibbpfError} for a negative result, which is an error number with the sign turned.
 */
export function check(operation: string, result: number, log?: string): number {
  if (result >= 0) return result;
  throw new LibbpfError(operation, -result, { log, hint: bpfHint(-result, log) });
}
