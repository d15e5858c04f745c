import type { ClusterNodes } from "./cluster_nodes.ts";
import type { Entry } from "./entry.ts";
import { type IpCache, Layer } from "./ip_cache.ts";
import { makeIdentity } from "./make.ts";

/** What a {@link FileSource} is made with. */
export interface FileSourceOptions {
  readonly path: string;
  readonly cache: IpCache;
  readonly nodes?: ClusterNodes;
  /** Told about reloads, and about a file that was changed to something unusable. */
  readonly report: (level: "info" | "warning", message: string) => void;
  /** How often the file is looked at, milliseconds. */
  readonly pollMs?: number;
}

/** How it stands with an identity file. */
export interface FileStatus {
  readonly path: string;
  readonly entries: number;
  readonly loads: number;
  readonly failures: number;
  /** Why the file as it is now cannot be used; empty when it can. */
  readonly lastError: string;
}

const POLL_MS = 1000;

/** Fills the cache from a file, and again whenever the file changes. */
export class FileSource {
  readonly #options: FileSourceOptions;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #stopped = false;
  #entries = new Map<string, Entry>();
  #seen = "";
  #loads = 0;
  #failures = 0;
  #lastError = "";

  constructor(options: FileSourceOptions) {
    this.#options = options;
  }

  /**
   * Reads the file and begins to watch it.
   * @throws Error with path and line when the file cannot be read or used.
   */
  async start(): Promise<void> {
    await this.#load(await this.#stamp());
    this.#options.cache.markSynced();
    this.#schedule();
  }

  stop(): void {
    this.#stopped = true;
    clearTimeout(this.#timer);
  }

  status(): FileStatus {
    return {
      path: this.#options.path,
      entries: this.#entries.size,
      loads: this.#loads,
      failures: this.#failures,
      lastError: this.#lastError,
    };
  }

  /** Looks at the file now. A file that cannot be used changes nothing. */
  async poll(): Promise<void> {
    const { path, report } = this.#options;
    let stamp = "";
    try {
      stamp = await this.#stamp();
      if (stamp === this.#seen) return;
      await this.#load(stamp);
      this.#lastError = "";
      report("info", `Loaded ${this.#entries.size} prefixes from ${path}`);
    } catch (error) {
      const text = error instanceof Error ? error.message : String(error);
      this.#seen = stamp;
      if (text === this.#lastError) return;
      this.#failures++;
      this.#lastError = text;
      report("warning", `Kept the names that were loaded before: ${text}`);
    }
  }

  #schedule(): void {
    this.#timer = setTimeout(async () => {
      await this.poll();
      if (!this.#stopped) this.#schedule();
    }, this.#options.pollMs ?? POLL_MS);
  }

  /** What changes when the file does; following links, as ConfigMap volumes and editors replace files. */
  async #stamp(): Promise<string> {
    const { path } = this.#options;
    try {
      const { mtime, size, ino } = await Deno.stat(path);
      return `${mtime?.getTime()} ${size} ${ino}`;
    } catch (cause) {
      throw unreadable(path, cause);
    }
  }

  async #load(stamp: string): Promise<void> {
    const { path, cache, nodes } = this.#options;
    let text: string;
    try {
      text = await Deno.readTextFile(path);
    } catch (cause) {
      throw unreadable(path, cause);
    }
    const next = await this.#parse(text);
    for (const prefix of this.#entries.keys()) {
      if (next.has(prefix)) continue;
      cache.delete(prefix, Layer.FILE);
      nodes?.set(prefix, undefined);
    }
    for (const [prefix, entry] of next) {
      cache.set(prefix, makeIdentity(entry), Layer.FILE);
      nodes?.set(prefix, entry.nodeAddress ? entry.node : undefined);
    }
    this.#entries = next;
    this.#seen = stamp;
    this.#loads++;
  }

  async #parse(text: string): Promise<Map<string, Entry>> {
    // Most agents have no such file, and YAML takes 3 MB.
    const { parseIdentityFile } = await import("./identity_file.ts");
    try {
      return parseIdentityFile(text);
    } catch (cause) {
      throw new Error(`Cannot use ${this.#options.path}: ${cause instanceof Error ? cause.message : cause}`, { cause });
    }
  }
}

/** Says all that the cause says, so that it need not be printed behind it. */
function unreadable(path: string, cause: unknown): Error {
  const reason = cause instanceof Deno.errors.NotFound
    ? "no such file"
    : cause instanceof Error
    ? cause.message
    : String(cause);
  return new Error(`Cannot read ${path}: ${reason}`);
}
