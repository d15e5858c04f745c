/**
 * Tests that need more than Deno say what they need, and are skipped with the reason where it is missing.
 *
 * A reason begins with `kernel:` when this kernel cannot do it, and with `machine:` when something could be installed or
 * granted. `deno task test` lists both; under `.ci/run` the second kind is a failure, and so is a test that is skipped
 * without a reason.
 */
import { which } from "../../scripts/process.ts";

/** What a test needs: undefined when it is there, else why it is not, with the prefix above. */
export type Need = () => string | undefined;

/** Declares a test that is skipped, with the reason in its name, unless all needs are met. The time limit is 60 seconds unless given. */
export function testWith(
  needs: readonly Need[],
  name: string,
  body: (t: Deno.TestContext) => Promise<void> | void,
  options: { timeoutMs?: number } = {},
): void {
  const reason = needs.map((need) => need()).find((missing) => missing !== undefined);
  Deno.test({
    name: reason === undefined ? name : `${name} [skipped: ${reason}]`,
    ignore: reason !== undefined,
    timeout: options.timeoutMs ?? 60_000,
    fn: body,
  });
}

/** Root, as eBPF and network namespaces ask for. */
export const root: Need = () => Deno.uid() === 0 ? undefined : "machine: this test must run as root";

/** Programs on PATH. */
export const program = (...names: string[]): Need => () => {
  const missing = names.filter((name) => which(name) === undefined);
  return missing.length === 0 ? undefined : `machine: ${missing.join(", ")} not found; run \`deno task setup\``;
};

/** A file of this repository that a task builds, by its path from the root. */
export const built = (path: string, task: string): Need => () =>
  exists(new URL(`../../${path}`, import.meta.url))
    ? undefined
    : `machine: ${path} is not built; run \`deno task ${task}\``;

/** Both eBPF objects. */
export const ebpf: Need = () =>
  built("bpf/build/packetparser.ring.bpf.o", "build:ebpf")() ??
    built("bpf/build/packetparser.perf.bpf.o", "build:ebpf")();

/** A kernel of at least this version. */
export const kernel = (major: number, minor: number): Need => () => {
  const [haveMajor, haveMinor] = Deno.osRelease().split(".").map(Number);
  if (haveMajor > major || (haveMajor === major && haveMinor >= minor)) return undefined;
  return `kernel: ${Deno.osRelease()} is older than ${major}.${minor}`;
};

/** TCX, the attach point of Linux 6.6. */
export const tcx: Need = kernel(6, 6);

/** The kernel's type information. */
export const btf: Need = () => exists("/sys/kernel/btf/vmlinux") ? undefined : "kernel: no /sys/kernel/btf/vmlinux";

/** What {@link createLab} needs. */
export const lab: Need = () => root() ?? program("ip", "nsenter", "ping")();

function exists(path: string | URL): boolean {
  try {
    Deno.statSync(path);
    return true;
  } catch {
    return false;
  }
}
