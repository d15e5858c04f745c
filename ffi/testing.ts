/** What the tests of this folder share: a small BPF object, and the reason why a machine cannot run a test. */

import type { BpfProgram } from "./bpf_program.ts";
import { toCString } from "./cstring.ts";
import { libbpf } from "./libbpf.ts";
import { libc } from "./libc.ts";
import type { TcDirection } from "./tc.ts";

const clang = "clang";
const objects = new Map<string, Uint8Array>();

/** Why tests that load programs cannot run here, or undefined when they can. Printed by the tests that skip. */
export const kernelSkipReason: string | undefined = findSkipReason();

/** Declares a test that is skipped, with the reason in its name, where programs cannot be loaded. */
export function kernelTest(name: string, run: () => void | Promise<void>): void {
  const skipped = kernelSkipReason === undefined ? "" : ` [skipped: machine: ${kernelSkipReason}]`;
  Deno.test({ name: `${name}${skipped}`, ignore: kernelSkipReason !== undefined, fn: run });
}

/** Compiles `testdata/minimal.bpf.c`, once per variant. */
export function minimalObject(variant: "ring" | "perf" = "ring"): Uint8Array {
  let bytes = objects.get(variant);
  if (bytes === undefined) {
    const output = Deno.makeTempFileSync({ suffix: ".bpf.o" });
    try {
      const { success, stderr } = new Deno.Command(clang, {
        args: [
          ...["-O2", "-g", "-target", "bpf", "-I", `/usr/include/${Deno.build.arch}-linux-gnu`],
          ...variant === "perf" ? ["-DPERF"] : [],
          ...["-c", `${import.meta.dirname}/testdata/minimal.bpf.c`, "-o", output],
        ],
      }).outputSync();
      if (!success) throw new Error(`Compile minimal.bpf.c: ${new TextDecoder().decode(stderr)}`);
      bytes = Deno.readFileSync(output);
    } finally {
      Deno.removeSync(output);
    }
    objects.set(variant, bytes);
  }
  return bytes;
}

function findSkipReason(): string | undefined {
  if (Deno.uid() !== 0) return "this test must run as root";
  try {
    new Deno.Command(clang, { args: ["--version"] }).outputSync();
  } catch {
    return "clang not found; run `deno task setup`";
  }
  return undefined;
}

const CLONE_NEWNET = 0x4000_0000;

/**
 * Runs a function in a network namespace: that of a path, or one of its own, which vanishes afterwards with everything in it.
 *
 * Only this thread moves: calls through FFI and processes started meanwhile are in the namespace, Deno's own sockets are not.
 */
export async function inNetworkNamespace(run: () => void | Promise<void>, path?: string): Promise<void> {
  const c = threadCalls();
  const home = openPath("/proc/thread-self/ns/net");
  try {
    if (path === undefined) {
      if (c.unshare(CLONE_NEWNET) !== 0) throw new Error("Make a network namespace");
    } else {
      const target = openPath(path);
      const entered = c.setns(target, CLONE_NEWNET);
      c.close(target);
      if (entered !== 0) throw new Error(`Enter network namespace ${path}`);
    }
    await run();
  } finally {
    c.setns(home, CLONE_NEWNET);
    c.close(home);
  }
}

function openPath(path: string): number {
  const fd = threadCalls().open(toCString(path), 0);
  if (fd < 0) throw new Error(`Open ${path}`);
  return fd;
}

function openThreadCalls() {
  return Deno.dlopen("libc.so.6", {
    open: { parameters: ["buffer", "i32"], result: "i32" },
    close: { parameters: ["i32"], result: "i32" },
    unshare: { parameters: ["i32"], result: "i32" },
    setns: { parameters: ["i32", "i32"], result: "i32" },
  }).symbols;
}

let calls: ReturnType<typeof openThreadCalls> | undefined;

function threadCalls(): ReturnType<typeof openThreadCalls> {
  calls ??= openThreadCalls();
  return calls;
}

/** Attaches by TCX behind all others, as a program does that has no wish for a place. */
export function appendTcx(program: BpfProgram, ifindex: number, direction: TcDirection): Disposable {
  const options = new Uint8Array(16);
  options[0] = 16; // sz
  const fd = libbpf().bpf_link_create(program.fd, ifindex, direction === "ingress" ? 46 : 47, options);
  if (fd < 0) throw new Error(`Append ${program.name} to ${direction} of interface ${ifindex}: ${-fd}`);
  return { [Symbol.dispose]: () => void libc().close(fd) };
}

/** Ids of the programs that are attached to an interface by TCX, in the order in which they run. */
export function tcxPrograms(ifindex: number, direction: TcDirection): number[] {
  const ids = new Uint32Array(64);
  const count = new Uint32Array([ids.length]);
  const type = direction === "ingress" ? 46 : 47; // BPF_TCX_INGRESS, BPF_TCX_EGRESS
  const result = queryCalls().bpf_prog_query(ifindex, type, 0, null, ids, count);
  if (result !== 0) throw new Error(`Query TCX programs of interface ${ifindex}: ${-result}`);
  return [...ids.subarray(0, count[0])];
}

function openQueryCalls() {
  return Deno.dlopen("libbpf.so.1", {
    // int target, enum type, u32 flags, u32 *attach_flags, u32 *ids, u32 *count
    bpf_prog_query: { parameters: ["i32", "u32", "u32", "buffer", "buffer", "buffer"], result: "i32" },
  }).symbols;
}

let queries: ReturnType<typeof openQueryCalls> | undefined;

function queryCalls(): ReturnType<typeof openQueryCalls> {
  queries ??= openQueryCalls();
  return queries;
}

/** Runs a command of iproute2 or another tool, and returns what it printed. */
export function run(command: string, ...args: string[]): string {
  const { success, stdout, stderr } = new Deno.Command(command, { args }).outputSync();
  if (!success) throw new Error(`Run ${command} ${args.join(" ")}: ${new TextDecoder().decode(stderr).trim()}`);
  return new TextDecoder().decode(stdout);
}

/** Opens the libraries before the tests, which would otherwise be taken for the ones that leak them. */
export function openLibraries(): void {
  if (kernelSkipReason !== undefined) return;
  libbpf();
  libc();
  threadCalls();
  queryCalls();
}
