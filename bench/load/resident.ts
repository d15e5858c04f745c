/** What the memory bench reads of a process below /proc, and the arithmetic on it. All sizes are in bytes. */

/** The resident set and what it consists of (proc(5), VmRSS and below). */
export interface MemoryParts {
  readonly resident: number;
  /** Pages that only this process has: heaps, stacks, what it wrote to. */
  readonly anonymous: number;
  /** Pages of files: programs and libraries, which processes share and the kernel can drop, and the mapped event ring. */
  readonly file: number;
  readonly shared: number;
}

/** Reads /proc/PID/status. */
export function memoryParts(pid: number): MemoryParts {
  return parseStatus(Deno.readTextFileSync(`/proc/${pid}/status`));
}

/** The parts of the resident set in the text of /proc/PID/status; NaN for a line that is not there. */
export function parseStatus(status: string): MemoryParts {
  const bytes = (name: string) => Number(new RegExp(`^${name}:\\s+(\\d+) kB$`, "m").exec(status)?.[1] ?? NaN) * 1024;
  return { resident: bytes("VmRSS"), anonymous: bytes("RssAnon"), file: bytes("RssFile"), shared: bytes("RssShmem") };
}

/** V8 takes its pages in chunks of this size, aligned to it; glibc's memory has neither. */
const V8_PAGE = 0x40000;

/** Resident memory by what it is for, from the text of /proc/PID/smaps. The largest kind comes first. */
export function memoryByKind(smaps: string): Record<string, number> {
  const kinds: Record<string, number> = {};
  let kind = "";
  for (const line of smaps.split("\n")) {
    const region = /^([0-9a-f]+)-([0-9a-f]+) (\S+) \S+ \S+ \S+ *(.*)$/.exec(line);
    if (region !== null) kind = kindOf(parseInt(region[1], 16), parseInt(region[2], 16), region[3], region[4]);
    const resident = /^Rss:\s+(\d+) kB$/.exec(line);
    if (resident !== null) kinds[kind] = (kinds[kind] ?? 0) + Number(resident[1]) * 1024;
  }
  return Object.fromEntries(Object.entries(kinds).sort(([, a], [, b]) => b - a));
}

function kindOf(from: number, to: number, access: string, path: string): string {
  if (/^anon_inode:.*(bpf|perf_event)/.test(path)) return "maps shared with the kernel";
  if (path.includes("_cache_v2")) return "Deno's caches";
  if (/\.so(\.|$)/.test(path)) return "shared libraries";
  if (/\/(deno|denort|retina-agent)$/.test(path)) {
    return access.includes("w")
      ? "the program's data"
      : access.includes("x")
      ? "the program's code"
      : "the program's constants";
  }
  if (path === "[heap]") return "malloc";
  if (path !== "") return "other";
  if (access.includes("x")) return "compiled JavaScript";
  const v8 = from % V8_PAGE === 0 && (to - from) % V8_PAGE === 0;
  return v8 ? "JavaScript heap and arrays" : "other anonymous memory";
}

/** The middle one, the lower of two; NaN of nothing. */
export function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[(values.length - 1) >> 1] ?? NaN;
}
