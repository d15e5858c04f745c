import process from "node:process";
import { readStatus } from "./memory.ts";
import type { Metrics } from "./metrics.ts";

/** How this process reads the kernel's files about itself. */
export interface ProcessFiles {
  /** Gives the text of a file below /proc. */
  readonly read: (path: string) => string;
  /** Number of entries of a directory below /proc. */
  readonly count: (path: string) => number;
}

/**
 * Registers the process metrics that every Prometheus client has, under their usual names.
 *
 * prom-client's own collector is not used: it reads /proc with functions that ask for all permissions here, and it wakes the
 * process every ten milliseconds to measure the event loop.
 */
export function registerProcessMetrics(metrics: Metrics, files: ProcessFiles): void {
  const started = Date.now() / 1000 - performance.now() / 1000;
  metrics.counter({
    name: "process_cpu_seconds_total",
    help: "CPU time of this process, user and system, in seconds",
    read: () => {
      const { user, system } = process.cpuUsage();
      return [{ value: (user + system) / 1e6 }];
    },
  });
  metrics.gauge({
    name: "process_start_time_seconds",
    help: "When this process started, in seconds since 1970",
    read: () => [{ value: started }],
  });
  metrics.gauge({
    name: "process_resident_memory_bytes",
    help: "Resident memory, shared pages and mapped rings included",
    read: () => [{ value: readStatus(files.read).rss }],
  });
  metrics.gauge({
    name: "process_virtual_memory_bytes",
    help: "Virtual memory",
    read: () => [{ value: readStatus(files.read).vm_size }],
  });
  metrics.gauge({
    name: "process_open_fds",
    help: "Open files, among them eBPF maps, programs and links",
    read: () => [{ value: files.count("/proc/self/fd") }],
  });
  metrics.gauge({
    name: "nodejs_heap_size_used_bytes",
    help: "V8 heap in use",
    read: () => [{ value: Deno.memoryUsage().heapUsed }],
  });
  metrics.gauge({
    name: "nodejs_heap_size_total_bytes",
    help: "V8 heap reserved",
    read: () => [{ value: Deno.memoryUsage().heapTotal }],
  });
  metrics.gauge({
    name: "nodejs_external_memory_bytes",
    help: "Memory outside of the V8 heap that V8 objects hold: the flow store and the mapped rings",
    read: () => [{ value: Deno.memoryUsage().external }],
  });
}
