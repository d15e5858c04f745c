import type { Identity } from "../identity/identity.ts";
import type { IpCache } from "../identity/ip_cache.ts";
import { json, text } from "../telemetry/http.ts";
import { readMemory } from "../telemetry/memory.ts";
import type { AgentOptions } from "./options.ts";

/** What the debug endpoints show. */
export interface DebugSources {
  readonly options: AgentOptions;
  readonly ipCache: IpCache;
  /** Gives the text of a file below /proc. */
  readonly readKernelFile: (path: string) => string;
  /** Parts of the agent by name, each with figures of its own. */
  readonly state: () => Readonly<Record<string, unknown>>;
}

/** Longest CPU profile, in seconds; a longer one is refused, not shortened. */
const MAX_PROFILE_SECONDS = 300;

/** The handlers below `/debug/`. */
export function debugHandlers(
  sources: DebugSources,
): Record<string, (url: URL, signal: AbortSignal) => Promise<Response> | Response> {
  return {
    "/debug/config": () => json({ config: sources.options, ...sources.state() }),
    "/debug/ipcache": () => json(ipCacheDump(sources.ipCache)),
    "/debug/mem": () => json(readMemory(sources.readKernelFile)),
    "/debug/pprof/profile": profile,
  };
}

/** Every entry of the cache by prefix, with the fields that are set. */
export function ipCacheDump(cache: IpCache): Record<string, unknown> {
  const entries = [...cache.entries()].sort(([a], [b]) => a < b ? -1 : 1);
  return Object.fromEntries(entries.map(([prefix, identity]) => [prefix, setFields(identity)]));
}

function setFields(identity: Identity): Record<string, unknown> {
  const { numeric, namespace, pod, service, node, cluster, labels, workloads } = identity;
  const all = { numeric, namespace, pod, service, node, cluster, labels, workloads };
  return Object.fromEntries(
    Object.entries(all).filter(([, value]) => value !== "" && !(Array.isArray(value) && value.length === 0)),
  );
}

async function profile(url: URL, signal: AbortSignal): Promise<Response> {
  const seconds = bounded(url, "seconds", 30, 1, MAX_PROFILE_SECONDS);
  const frequency = bounded(url, "frequency", 1000, 1, 10_000);
  if (seconds instanceof Response) return seconds;
  if (frequency instanceof Response) return frequency;
  // A profile is rare: what takes and writes it is loaded then.
  const { ProfilerBusyError, takeCpuProfile } = await import("../telemetry/profile.ts");
  try {
    const bytes = await takeCpuProfile(seconds, Math.round(1_000_000 / frequency), signal);
    return new Response(bytes, {
      headers: {
        "content-type": "application/octet-stream",
        "content-disposition": 'attachment; filename="profile.pb.gz"',
      },
    });
  } catch (error) {
    if (error instanceof ProfilerBusyError) return text(`${error.message}\n`, 409);
    throw error;
  }
}

function bounded(url: URL, name: string, fallback: number, min: number, max: number): number | Response {
  const given = url.searchParams.get(name);
  if (given === null) return fallback;
  const value = /^\d+$/.test(given) ? Number(given) : NaN;
  if (value >= min && value <= max) return value;
  return text(`Cannot use ${name}=${given}: expected a whole number from ${min} to ${max}\n`, 400);
}
