import { check } from "./error.ts";
import { libbpf } from "./libbpf.ts";
import { CStruct, pinned } from "./struct.ts";

/** What a test run of a program gets. */
export interface TestRunInput {
  /** The packet. */
  readonly data: Uint8Array;
  /** The context, for instance a `struct __sk_buff` with the fields that the kernel lets a test set. */
  readonly context?: Uint8Array | undefined;
  /** How often to run the program in the kernel; default 1. */
  readonly repeat?: number | undefined;
}

/** What a test run of a program gave. */
export interface TestRunResult {
  /** Return value as the program returned it, signed. */
  readonly returnValue: number;
  /** Mean duration of a run in nanoseconds. */
  readonly durationNanos: number;
  /** The packet after the run. */
  readonly data: Uint8Array;
}

/** A program of a loaded BPF object. It borrows the object's file descriptor: use it while the object is open. */
export class BpfProgram {
  readonly name: string;
  readonly fd: number;

  constructor(name: string, fd: number) {
    this.name = name;
    this.fd = fd;
  }

  /**
   * Runs the program on a packet without any interface (`BPF_PROG_TEST_RUN`).
   *
   * @throws {LibbpfError} when the kernel refuses, for instance EINVAL for a packet shorter than 14 bytes.
   */
  testRun(input: TestRunInput): TestRunResult {
    const data = pinned(input.data);
    // A program may grow the packet; nothing here does by more than some headers.
    const out = new Uint8Array(new ArrayBuffer(data.length + 256));
    // struct bpf_test_run_opts (bpf/bpf.h)
    const options = new CStruct(80);
    options.setU64(0, 80) // sz
      .setAddress(8, data) // data_in
      .setAddress(16, out) // data_out
      .setU32(24, data.length) // data_size_in
      .setU32(28, out.length) // data_size_out
      .setI32(60, input.repeat ?? 1); // repeat
    if (input.context !== undefined) {
      const context = pinned(input.context);
      options.setAddress(32, context).setU32(48, context.length); // ctx_in, ctx_size_in
    }
    check(`Test run of BPF program ${this.name}`, libbpf().bpf_prog_test_run_opts(this.fd, options.bytes));
    return {
      returnValue: options.view.getInt32(56, true), // retval
      durationNanos: options.getU32(64), // duration
      data: out.slice(0, options.getU32(28)),
    };
  }
}
