import { Backoff, sleep } from "../../identity/backoff.ts";
import { asObject, type Json, object, objects, string } from "../facts/json.ts";
import type { ObjectStore } from "../state/cluster_state.ts";
import { ApiError, type ApiResponse, type ApiSession, type KubeApi, parseObject } from "./api.ts";
import { lines } from "./lines.ts";
import type { Resource } from "./resources.ts";

/** What a {@link Reflector} is made with. */
export interface ReflectorOptions {
  readonly api: KubeApi;
  readonly resource: Resource;
  readonly store: ObjectStore;
  /** Called after every change of the store. */
  readonly onChange: () => void;
  /** Called once: everything was listed, or is optional and cannot be. */
  readonly onSynced: () => void;
  readonly report: (level: "info" | "warning", message: string) => void;
  readonly limits?: Partial<ReflectorLimits>;
}

/** Sizes and times of listing and watching. */
export interface ReflectorLimits {
  /** Objects in a part of a list. */
  readonly pageSize: number;
  /** How long a part of a list may take, milliseconds. */
  readonly listMs: number;
  /** A watch that is silent for so long is begun again: the connection may be dead. Servers send a bookmark every minute. */
  readonly silenceMs: number;
  /** How long the server is asked to keep a watch open, seconds; by chance up to twice as long. */
  readonly watchSeconds: number;
  /** How long to wait before asking again for what is forbidden or does not exist, milliseconds. */
  readonly refusedMs: number;
}

export const DEFAULT_LIMITS: ReflectorLimits = {
  pageSize: 500,
  listMs: 60_000,
  silenceMs: 180_000,
  watchSeconds: 300,
  refusedMs: 300_000,
};

/** How it stands with one kind of objects. */
export interface ReflectorStatus {
  readonly kind: string;
  readonly synced: boolean;
  readonly lists: number;
  readonly watches: number;
  readonly events: number;
  readonly errors: number;
  /** Why the last attempt failed; empty since one went well. */
  readonly lastError: string;
  readonly resourceVersion: string;
}

/** An event larger than this is no API object: etcd does not store larger ones than 1.5 MiB. */
const MAX_LINE = 16 * 1024 * 1024;
const METADATA = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1,application/json";
const METADATA_LIST = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1,application/json";

/** The store no longer follows from the last list and the events since then. */
class Expired extends Error {
  override name = "Expired";
}

/** Keeps a store equal to one kind of objects of the cluster: lists in parts, watches with bookmarks, lists again after a gap. */
export class Reflector {
  readonly #options: ReflectorOptions;
  readonly #limits: ReflectorLimits;
  readonly #stop = new AbortController();
  readonly #backoff = new Backoff();
  #running: Promise<void> | undefined;
  #synced = false;
  #listed = false;
  /** The next list is asked for in one part. */
  #whole = false;
  #resourceVersion = "";
  #lists = 0;
  #watches = 0;
  #events = 0;
  #errors = 0;
  #lastError = "";

  constructor(options: ReflectorOptions) {
    this.#options = options;
    this.#limits = { ...DEFAULT_LIMITS, ...options.limits };
  }

  start(): void {
    this.#running ??= this.#run();
  }

  async stop(): Promise<void> {
    this.#stop.abort();
    await this.#running;
  }

  status(): ReflectorStatus {
    return {
      kind: this.#options.resource.kind,
      synced: this.#synced,
      lists: this.#lists,
      watches: this.#watches,
      events: this.#events,
      errors: this.#errors,
      lastError: this.#lastError,
      resourceVersion: this.#resourceVersion,
    };
  }

  async #run(): Promise<void> {
    const { signal } = this.#stop;
    while (!signal.aborted) {
      let delay = 0;
      try {
        await this.#session();
      } catch (error) {
        if (signal.aborted) return;
        delay = this.#failed(error);
      }
      await sleep(delay, signal);
    }
  }

  /** Lists if need be and watches until something goes wrong; each with new credentials and connections. */
  async #session(): Promise<void> {
    const session = await this.#options.api.open();
    try {
      if (!this.#listed) await this.#list(session);
      await this.#watch(session);
    } finally {
      session.close();
    }
  }

  async #list(session: ApiSession): Promise<void> {
    const { resource, store } = this.#options;
    const keys = new Set<string>();
    let query: Record<string, string> = this.#whole ? {} : { limit: String(this.#limits.pageSize) };
    let version = "";
    do {
      const page = await this.#page(session, query).catch((error) => {
        // The parts took longer than the server keeps the past (etcd compacts every five minutes): all at once, then.
        if (error instanceof ApiError && error.status === 410) this.#whole = true;
        throw error;
      });
      for (const item of objects(page, "items")) {
        const key = store.upsert(item);
        if (key !== undefined) keys.add(key);
      }
      const metadata = object(page, "metadata");
      version = string(metadata, "resourceVersion");
      query = { ...query, continue: string(metadata, "continue") };
    } while (query["continue"] !== "");
    if (version === "") throw new Error(`the list of ${resource.path} has no resourceVersion`);
    store.retain(keys);
    this.#whole = false;
    this.#lists++;
    this.#resourceVersion = version;
    this.#listed = true;
    this.#succeeded();
    this.#markSynced();
    this.#options.onChange();
  }

  async #page(session: ApiSession, query: Record<string, string>): Promise<Json> {
    const { path, metadataOnly } = this.#options.resource;
    const accept = metadataOnly ? METADATA_LIST : "application/json";
    const text = await this.#within(this.#limits.listMs, async (signal) => {
      const response = await session.send({ path, query, accept, signal });
      return await response.text();
    });
    const page = parseObject(text);
    if (page === undefined || !Array.isArray(page["items"])) {
      throw new Error(`expected a list, got ${JSON.stringify(text.slice(0, 60))}`);
    }
    return page;
  }

  /** Runs something that is given up after some milliseconds. */
  async #within<T>(milliseconds: number, run: (signal: AbortSignal) => Promise<T>): Promise<T> {
    const late = new AbortController();
    const reason = new Error(`no answer within ${milliseconds} ms`);
    const timer = setTimeout(() => late.abort(reason), milliseconds);
    try {
      return await run(AbortSignal.any([this.#stop.signal, late.signal]));
    } finally {
      clearTimeout(timer);
    }
  }

  async #watch(session: ApiSession): Promise<void> {
    const { resource } = this.#options;
    this.#watches++;
    const seconds = Math.round(this.#limits.watchSeconds * (1 + Math.random()));
    const silence = new AbortController();
    const signal = AbortSignal.any([this.#stop.signal, silence.signal]);
    const alive = () => {
      clearTimeout(timer);
      timer = setTimeout(() => silence.abort(), this.#limits.silenceMs);
    };
    let timer: ReturnType<typeof setTimeout> | undefined;
    alive();
    const began = performance.now();
    try {
      const response = await session.send({
        path: resource.path,
        query: {
          watch: "true",
          allowWatchBookmarks: "true",
          resourceVersion: this.#resourceVersion,
          timeoutSeconds: String(seconds),
        },
        accept: resource.metadataOnly ? METADATA : "application/json",
        signal,
      });
      await this.#readEvents(response, alive);
    } catch (error) {
      // Silence is no failure: the next watch goes on from here.
      if (!silence.signal.aborted) throw error;
    } finally {
      clearTimeout(timer);
    }
    // A server that closes every watch at once must not be asked all the time.
    if (performance.now() - began < 1000) await sleep(500 + 500 * Math.random(), this.#stop.signal);
  }

  async #readEvents(response: ApiResponse, alive: () => void): Promise<void> {
    for await (const line of lines(response.chunks, MAX_LINE)) {
      alive();
      const event = parseObject(line);
      // What was missed is unknown: only a list can tell.
      if (event === undefined) throw new Expired(`an event is no JSON: ${JSON.stringify(line.slice(0, 60))}`);
      this.#apply(string(event, "type"), asObject(event["object"]) ?? {});
    }
  }

  #apply(type: string, from: Json): void {
    const { store, onChange } = this.#options;
    if (type === "ERROR") {
      const text = `${string(from, "reason")} ${string(from, "message")}`.trim();
      if (from["code"] === 410) throw new Expired(text);
      throw new ApiError(Number(from["code"]) || 500, text);
    }
    this.#events++;
    this.#succeeded();
    if (type === "ADDED" || type === "MODIFIED") store.upsert(from);
    else if (type === "DELETED") store.remove(from);
    const version = string(object(from, "metadata"), "resourceVersion");
    if (version !== "") this.#resourceVersion = version;
    if (type !== "BOOKMARK") onChange();
  }

  #succeeded(): void {
    this.#backoff.reset();
    if (this.#lastError === "") return;
    this.#lastError = "";
    this.#options.report("info", `Reading ${this.#options.resource.path} works again`);
  }

  #markSynced(): void {
    if (this.#synced) return;
    this.#synced = true;
    this.#options.onSynced();
  }

  /** Notes a failure; returns milliseconds to wait. */
  #failed(error: unknown): number {
    const { resource, api, report } = this.#options;
    const status = error instanceof ApiError ? error.status : 0;
    if (error instanceof Expired || status === 410) {
      this.#listed = false;
      return this.#backoff.next();
    }
    this.#errors++;
    const text = textOf(error);
    if (text !== this.#lastError) {
      report("warning", `Cannot read ${resource.path} from ${api.server}: ${text}; it is tried again`);
    }
    this.#lastError = text;
    // The server may know nothing of the version that another server gave.
    if (status === 400) this.#listed = false;
    if ((status === 403 || status === 404) && resource.optional) {
      this.#markSynced();
      return this.#limits.refusedMs;
    }
    return this.#backoff.next();
  }
}

function textOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const cause = error.cause instanceof Error ? error.cause.message : "";
  return cause === "" ? error.message : `${error.message}: ${cause}`;
}
