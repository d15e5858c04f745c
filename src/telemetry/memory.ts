/** Memory of this process as the kernel and V8 see it. All sizes are in bytes. */
export interface MemoryReport {
  /** From /proc/self/status: resident set and its parts, virtual size, thread count. */
  readonly status: Readonly<Record<string, number>>;
  /** From /proc/self/smaps_rollup: proportional set size and its parts; absent where the kernel does not offer it. */
  readonly smaps?: Readonly<Record<string, number>>;
  /** From /proc/self/maps: size and number of mapped regions by kind. */
  readonly maps?: Readonly<Record<RegionKind, { regions: number; bytes: number }>>;
  /** V8's own figures. */
  readonly heap: { readonly used: number; readonly total: number; readonly external: number };
}

export type RegionKind =
  | "perf_event"
  | "ring_buffer"
  | "bpf_map"
  | "heap"
  | "stack"
  | "program"
  | "shared_library"
  | "anonymous"
  | "other";

const STATUS_FIELDS: Readonly<Record<string, string>> = {
  VmRSS: "rss",
  RssAnon: "rss_anon",
  RssFile: "rss_file",
  RssShmem: "rss_shmem",
  VmSize: "vm_size",
  VmPeak: "vm_peak",
  VmHWM: "rss_peak",
  VmData: "vm_data",
  VmStk: "vm_stack",
  VmSwap: "swap",
  Threads: "threads",
};

const SMAPS_FIELDS: Readonly<Record<string, string>> = {
  Pss: "pss",
  Pss_Anon: "pss_anon",
  Pss_File: "pss_file",
  Shared_Clean: "shared_clean",
  Private_Dirty: "private_dirty",
  Swap: "swap",
  AnonHugePages: "anon_huge_pages",
};

/** Picks `Name: value [kB]` lines out of a /proc text (proc(5)) and gives their values in bytes, or as they stand without a unit. */
export function parseProcFields(text: string, fields: Readonly<Record<string, string>>): Record<string, number> {
  const out: Record<string, number> = {};
  for (const line of text.split("\n")) {
    const match = /^(\w+):\s+(\d+)( kB)?$/.exec(line);
    const name = match && Object.hasOwn(fields, match[1]) ? fields[match[1]] : undefined;
    if (match && name) out[name] = Number(match[2]) * (match[3] ? 1024 : 1);
  }
  return out;
}

/** Sums up /proc/self/maps (proc(5)) by kind of region. */
export function summarizeMaps(text: string): Record<RegionKind, { regions: number; bytes: number }> {
  const none = () => ({ regions: 0, bytes: 0 });
  const out: Record<RegionKind, { regions: number; bytes: number }> = {
    perf_event: none(),
    ring_buffer: none(),
    bpf_map: none(),
    heap: none(),
    stack: none(),
    program: none(),
    shared_library: none(),
    anonymous: none(),
    other: none(),
  };
  const executable = programPath();
  for (const line of text.split("\n")) {
    const match = /^([0-9a-f]+)-([0-9a-f]+) \S+ \S+ \S+ \d+ *(.*)$/.exec(line);
    if (!match) continue;
    const region = out[kindOf(match[3], executable)];
    region.regions++;
    region.bytes += parseInt(match[2], 16) - parseInt(match[1], 16);
  }
  return out;
}

function kindOf(path: string, executable: string): RegionKind {
  if (path.includes("perf_event")) return "perf_event";
  if (path.includes("bpf-ringbuf")) return "ring_buffer";
  if (path.includes("bpf-map")) return "bpf_map";
  if (path === "[heap]") return "heap";
  if (path.startsWith("[stack")) return "stack";
  if (path !== "" && path === executable) return "program";
  if (/\.so(\.|$)/.test(path)) return "shared_library";
  return path === "" || path.startsWith("[anon") ? "anonymous" : "other";
}

function programPath(): string {
  try {
    return Deno.execPath();
  } catch {
    return ""; // Not permitted: the program's own text then counts as "other".
  }
}

/**
 * Reads the memory report of this process.
 * @param read gives the text of a file below /proc
 * @throws what `read` throws for /proc/self/status; the other two files are optional.
 */
export function readMemory(read: (path: string) => string): MemoryReport {
  const optional = (path: string) => {
    try {
      return read(path);
    } catch {
      return undefined;
    }
  };
  const status = read("/proc/self/status");
  const smaps = optional("/proc/self/smaps_rollup");
  const maps = optional("/proc/self/maps");
  const usage = Deno.memoryUsage();
  return {
    status: parseProcFields(status, STATUS_FIELDS),
    ...(smaps === undefined ? {} : { smaps: parseProcFields(smaps, SMAPS_FIELDS) }),
    ...(maps === undefined ? {} : { maps: summarizeMaps(maps) }),
    heap: { used: usage.heapUsed, total: usage.heapTotal, external: usage.external },
  };
}

/** Resident, virtual and anonymous memory in bytes, and the number of threads: the cheap part of {@link readMemory}. */
export function readStatus(read: (path: string) => string): Record<string, number> {
  return parseProcFields(read("/proc/self/status"), STATUS_FIELDS);
}
