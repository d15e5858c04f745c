/** One boot of one kernel in qemu, under software emulation so that it works everywhere, bounded in time. */
import { run, which } from "../../scripts/process.ts";

/** Two CPUs, because per-CPU rings and counters are half of what is tested. */
const CPUS = 2;
/** The guest's file system is 110 MB of it, Deno takes 150 MB a process, the maps of the programs 70 MB. */
const MEMORY_MB = 1024;

export interface Boot {
  readonly kernel: string;
  readonly initramfs: string;
  /** Folder for the serial lines. */
  readonly folder: string;
  readonly timeoutMs: number;
}

export interface BootResult {
  /** First serial line: the kernel's messages and the init's. */
  readonly console: string;
  /** Second serial line: the guest program's report. */
  readonly report: string;
  readonly seconds: number;
  /** Why qemu did not end by itself with success. */
  readonly problem?: string;
}

/** What to install when qemu is missing. */
export function qemuMissing(): string | undefined {
  if (which("qemu-system-x86_64") !== undefined) return undefined;
  return "Cannot find program qemu-system-x86_64: install it (apt-get install --no-install-recommends qemu-system-x86)";
}

/** Boots a kernel and waits until it powers off. Never throws for what happens in the guest. */
export async function boot(options: Boot): Promise<BootResult> {
  const lines = { console: `${options.folder}/console.log`, report: `${options.folder}/report.log` };
  const began = performance.now();
  const seconds = Math.ceil(options.timeoutMs / 1000);
  // A niced guest leaves the machine to whoever works on it. timeout(1) ends it also when this process is killed.
  const qemu = ["timeout", "--kill-after=5", `${seconds}`, "qemu-system-x86_64", ...machine(options, lines)];
  const { code, stderr } = await run("nice", qemu, { timeoutMs: options.timeoutMs + 10_000, allowFailure: true });
  return {
    console: await Deno.readTextFile(lines.console).catch(() => ""),
    report: await Deno.readTextFile(lines.report).catch(() => ""),
    seconds: (performance.now() - began) / 1000,
    ...(code === 0 ? {} : { problem: problemOf(code, seconds, stderr) }),
  };
}

function problemOf(code: number, seconds: number, stderr: string): string {
  if (code === 124 || code === 137) return `the guest took longer than ${seconds} s`;
  return `qemu exited with code ${code}: ${stderr.trim()}`;
}

function machine(options: Boot, lines: { console: string; report: string }): string[] {
  return [
    ...["-machine", "q35,accel=tcg", "-cpu", "max", "-smp", `${CPUS}`, "-m", `${MEMORY_MB}`],
    // No devices but the serial lines; a guest that resets (a panic, below) ends qemu.
    ...["-nodefaults", "-no-reboot", "-display", "none"],
    ...["-serial", `file:${lines.console}`, "-serial", `file:${lines.report}`],
    ...["-kernel", options.kernel, "-initrd", options.initramfs],
    ...["-append", "console=ttyS0 panic=-1 oops=panic quiet loglevel=5"],
  ];
}
