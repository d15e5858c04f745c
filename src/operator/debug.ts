import type { Entry } from "../identity/entry.ts";
import { json } from "../telemetry/http.ts";
import type { ReflectorStatus } from "./kube/reflector.ts";
import type { ServiceStats } from "./publish/service.ts";
import type { ClusterState } from "./state/cluster_state.ts";

/** What the debug endpoints show. */
export interface DebugSources {
  readonly state: ClusterState;
  readonly service: () => ServiceStats;
  readonly watchers: () => readonly ReflectorStatus[];
  readonly log: () => { epoch: bigint; revision: number; bytes: number } | undefined;
  readonly leader: () => { leading: boolean; holder: string };
}

/** Most entries that one answer of `/debug/ipcache` carries, unless the query's `limit` says otherwise. */
const LIMIT = 10_000;

/** Handlers of `/debug/`, by path. */
export function debugHandlers(sources: DebugSources): Record<string, (url: URL) => Response> {
  return {
    "/debug/ipcache": (url) => {
      const wanted = url.searchParams.get("q") ?? "";
      const limit = Number(url.searchParams.get("limit") ?? LIMIT) || LIMIT;
      const { entries } = sources.state;
      const shown: (Entry & { prefix: string })[] = [];
      for (const [prefix, entry] of entries) {
        if (
          wanted !== "" && !`${prefix} ${entry.namespace}/${entry.pod || entry.service} ${entry.node}`.includes(wanted)
        ) continue;
        if (shown.length === limit) break;
        shown.push({ prefix, ...entry });
      }
      return json({ total: entries.size, shown: shown.length, entries: shown });
    },
    "/debug/stats": () => {
      const log = sources.log();
      return json({
        state: sources.state.stats(),
        last_malformed: sources.state.lastMalformed,
        agents: sources.service(),
        leader: sources.leader(),
        log: log && { epoch: log.epoch, revision: log.revision, bytes: log.bytes },
        watchers: sources.watchers(),
        memory: Deno.memoryUsage(),
      });
    },
  };
}
