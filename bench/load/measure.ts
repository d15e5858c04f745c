/** What the end-to-end bench reads of a process and of the kernel, and the arithmetic on it. */

/** CPU time that all threads of a process have used, in seconds (`/proc/PID/task/TID/schedstat`, nanoseconds). */
export function cpuSeconds(pid: number): number {
  let total = 0;
  for (const thread of Deno.readDirSync(`/proc/${pid}/task`)) {
    try {
      total += Number(Deno.readTextFileSync(`/proc/${pid}/task/${thread.name}/schedstat`).split(" ")[0]);
    } catch { /* the thread has ended; what it used is lost to this reading */ }
  }
  return total / 1e9;
}

/** Resident memory of a process in bytes. */
export function residentBytes(pid: number): number {
  const status = Deno.readTextFileSync(`/proc/${pid}/status`);
  return Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1] ?? NaN) * 1024;
}

/** Runs of the eBPF programs that a process holds, and the nanoseconds in them. Counted only with `kernel.bpf_stats_enabled`. */
export interface ProgramRuns {
  readonly count: number;
  readonly nanoseconds: number;
}

/** The runs of each program by its id, from the process's open files. */
export function programRuns(pid: number): Map<number, ProgramRuns> {
  const runs = new Map<number, ProgramRuns>();
  for (const file of Deno.readDirSync(`/proc/${pid}/fdinfo`)) {
    try {
      const program = parseProgram(Deno.readTextFileSync(`/proc/${pid}/fdinfo/${file.name}`));
      if (program !== undefined) runs.set(program.id, program);
    } catch { /* closed meanwhile */ }
  }
  return runs;
}

/** Reads the `fdinfo` of an eBPF program; undefined for any other file. */
export function parseProgram(fdinfo: string): (ProgramRuns & { id: number }) | undefined {
  const value = (name: string) => {
    const match = new RegExp(`^${name}:\\s*(\\d+)$`, "m").exec(fdinfo);
    return match === null ? undefined : Number(match[1]);
  };
  const [id, count, nanoseconds] = ["prog_id", "run_cnt", "run_time_ns"].map(value);
  if (id === undefined || count === undefined || nanoseconds === undefined) return undefined;
  return { id, count, nanoseconds };
}

/** Nanoseconds a run between two readings, over the programs of both. NaN when nothing ran. */
export function nanosecondsPerRun(before: Map<number, ProgramRuns>, after: Map<number, ProgramRuns>): number {
  let count = 0;
  let nanoseconds = 0;
  for (const [id, now] of after) {
    count += now.count - (before.get(id)?.count ?? 0);
    nanoseconds += now.nanoseconds - (before.get(id)?.nanoseconds ?? 0);
  }
  return nanoseconds / count;
}

/** The sum of a Prometheus metric's samples whose labels contain all the given ones. 0 when there are none. */
export function metricSum(exposition: string, name: string, labels: Record<string, string> = {}): number {
  let total = 0;
  for (const line of exposition.split("\n")) {
    const match = /^([a-zA-Z_:][\w:]*)(\{[^}]*\})? (\S+)/.exec(line);
    if (match === null || match[1] !== name) continue;
    const wanted = Object.entries(labels).every(([label, value]) => match[2]?.includes(`${label}="${value}"`));
    if (wanted) total += Number(match[3]);
  }
  return total;
}

const BPF_STATS = "/proc/sys/kernel/bpf_stats_enabled";

/** Switches the kernel's counting of eBPF run times on; disposing puts it back as it was. */
export function enableProgramStats(): Disposable {
  const before = Deno.readTextFileSync(BPF_STATS).trim();
  Deno.writeTextFileSync(BPF_STATS, "1");
  return { [Symbol.dispose]: () => Deno.writeTextFileSync(BPF_STATS, before) };
}
