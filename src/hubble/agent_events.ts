/** What happened to the agent itself: kept for GetAgentEvents, history and live. */
import { create } from "@bufbuild/protobuf";
import { type Timestamp, timestampFromMs } from "@bufbuild/protobuf/wkt";
import { type AgentEvent, AgentEventSchema, AgentEventType } from "../../proto/gen/flow/flow_pb.ts";
import type { GetAgentEventsRequest, GetAgentEventsResponse } from "../../proto/gen/observer/observer_pb.ts";
import { GetAgentEventsResponseSchema } from "../../proto/gen/observer/observer_pb.ts";
import type { IpCache } from "../identity/ip_cache.ts";
import { compareTime, eventQuery } from "./flow_query.ts";

/** Events that are kept: the rollout of a large deployment, in less than a megabyte. */
const DEFAULT_CAPACITY = 1024;

interface Entry {
  readonly event: AgentEvent;
  readonly time: Timestamp;
}

/** The last events, oldest first, with positions that count from the first event ever. */
export class AgentEventLog {
  readonly #entries: Entry[] = [];
  readonly #waiting = new Set<() => void>();
  #oldest = 0;

  constructor(readonly capacity: number = DEFAULT_CAPACITY, readonly now: () => number = () => Date.now()) {}

  /** Position of the next event. */
  get head(): number {
    return this.#oldest + this.#entries.length;
  }

  /** Position of the oldest event that is kept. */
  get oldest(): number {
    return this.#oldest;
  }

  /** Appends an event that happened now. */
  append(event: AgentEvent): void {
    this.#entries.push({ event, time: timestampFromMs(this.now()) });
    if (this.#entries.length > this.capacity) {
      this.#entries.shift();
      this.#oldest++;
    }
    for (const wake of [...this.#waiting]) wake();
  }

  /** Appends AGENT_STARTED. */
  started(): void {
    this.append(create(AgentEventSchema, {
      type: AgentEventType.AGENT_STARTED,
      notification: { case: "agentStart", value: { time: timestampFromMs(this.now()) } },
    }));
  }

  /** The event at a position, undefined when it is not kept. */
  at(position: number): Entry | undefined {
    return this.#entries[position - this.#oldest];
  }

  /** Resolves with the next event, or when `signal` is aborted. */
  appended(signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const done = () => {
        this.#waiting.delete(done);
        signal.removeEventListener("abort", done);
        resolve();
      };
      this.#waiting.add(done);
      signal.addEventListener("abort", done);
      if (signal.aborted) done();
    });
  }
}

/**
 * Appends every change of the identity cache, once the cache is synchronized: what it learns at the start is no news.
 * @returns how to stop.
 */
export function logIdentityChanges(cache: IpCache, log: AgentEventLog): () => void {
  return cache.subscribe(({ kind, prefix, old, new: now }) => {
    if (!cache.synced) return;
    log.append(create(AgentEventSchema, {
      type: kind === "upsert" ? AgentEventType.IPCACHE_UPSERTED : AgentEventType.IPCACHE_DELETED,
      notification: {
        case: "ipcacheUpdate",
        value: {
          cidr: prefix.includes("/") ? prefix : `${prefix}/${prefix.includes(":") ? 128 : 32}`,
          identity: (now ?? old)?.numeric ?? 0,
          namespace: (now ?? old)?.namespace ?? "",
          podName: (now ?? old)?.pod ?? "",
          ...(kind === "upsert" && old !== undefined && { oldIdentity: old.numeric }),
        },
      },
    }));
  });
}

/** Answers GetAgentEvents, with the meaning of number, first, since, until and follow that GetFlows has. */
export async function* agentEvents(
  log: AgentEventLog,
  request: GetAgentEventsRequest,
  nodeName: string,
  signal: AbortSignal,
): AsyncGenerator<GetAgentEventsResponse> {
  const { limit, first, follow, since, until } = eventQuery(request);
  const end = follow ? Infinity : log.head;
  let position = log.oldest;
  if (!first && since === undefined) {
    const back = follow && limit === Infinity ? 0 : limit;
    position = Math.max(position, log.head - back);
  }
  for (let sent = 0; !signal.aborted;) {
    position = Math.max(position, log.oldest);
    if (position >= end) return;
    const entry = log.at(position);
    if (entry === undefined) {
      await log.appended(signal);
      continue;
    }
    position++;
    const seconds = Number(entry.time.seconds);
    if (since !== undefined && compareTime(seconds, entry.time.nanos, since) < 0) continue;
    if (until !== undefined && compareTime(seconds, entry.time.nanos, until) > 0) return;
    yield create(GetAgentEventsResponseSchema, { agentEvent: entry.event, nodeName, time: entry.time });
    if (++sent === limit && !follow) return;
  }
}
