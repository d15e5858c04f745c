import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { IpCache, IpCacheBatchSchema, IpCacheRequestSchema } from "../../proto/gen/ipcache/ipcache_pb.ts";
import { Backoff, sleep } from "./backoff.ts";
import { type ApplierStats, BatchApplier } from "./batch_applier.ts";
import type { ClusterNodes } from "./cluster_nodes.ts";
import { streamMessages, type TlsMaterial } from "./grpc_stream.ts";
import type { IpCache as Cache } from "./ip_cache.ts";

/** Version of the protocol that this agent speaks. */
export const PROTOCOL_VERSION = 1;

/** PEM files for a connection with TLS; read again at every attempt, because they are renewed. */
export interface ClientTlsFiles {
  /** Authority that signed the operator's certificate; unset: the system's. */
  readonly caFile?: string;
  /** This agent's certificate and key, when the operator asks for one. */
  readonly certFile?: string;
  readonly keyFile?: string;
  /** Name in the operator's certificate; unset: the host of the address. */
  readonly serverName?: string;
}

/** What an {@link OperatorSource} is made with. */
export interface OperatorSourceOptions {
  /** `host:port` or `http://host:port` for plain text, `https://host:port` for TLS. */
  readonly address: string;
  readonly nodeName: string;
  readonly tls?: ClientTlsFiles;
  readonly cache: Cache;
  readonly nodes: ClusterNodes;
  /** Told what an operator of the agent wants to read in the log. */
  readonly report: (level: "info" | "warning", message: string) => void;
  /** Milliseconds between pings on a quiet connection, and to wait for their answer. */
  readonly pingMs?: number;
  readonly backoff?: Backoff;
}

/** How it stands between this agent and the operator. */
export interface OperatorStatus extends ApplierStats {
  readonly address: string;
  /** A stream is open and complete: what the operator knows is known here. */
  readonly connected: boolean;
  /** Everything was received at least once, from this or an earlier stream. */
  readonly synced: boolean;
  readonly epoch: bigint;
  readonly revision: bigint;
  /** Streams that were begun. */
  readonly attempts: number;
  /** Why the last stream ended; empty while one is open. */
  readonly lastError: string;
  /** Wall clock of the last message, milliseconds since 1970; 0 for none. */
  readonly lastMessageAt: number;
  /** Version of the protocol that the operator speaks; undefined before its first message. */
  readonly protocolVersion: number | undefined;
}

/** The name that operators of every version serve the stream under. */
const METHOD = `/${IpCache.typeName}/${IpCache.method.streamUpdates.name}`;
const PING_MS = 10_000;
const CONNECT_MS = 5_000;
/** An operator sends at most 256 KiB in a message; one of the first version sends everything in one. */
const MAX_MESSAGE = 64 * 1024 * 1024;

/** Fills the cache from an operator: connects, follows, and connects again for as long as it runs. */
export class OperatorSource {
  readonly #options: OperatorSourceOptions;
  readonly #applier: BatchApplier;
  readonly #backoff: Backoff;
  readonly #stop = new AbortController();
  #running: Promise<void> | undefined;
  #connected = false;
  #synced = false;
  #attempts = 0;
  #lastError = "";
  #lastMessageAt = 0;
  #protocolVersion: number | undefined;

  constructor(options: OperatorSourceOptions) {
    this.#options = options;
    this.#applier = new BatchApplier(options.cache, options.nodes);
    this.#backoff = options.backoff ?? new Backoff();
    operatorUrl(options.address);
  }

  start(): void {
    this.#running ??= this.#run();
  }

  /** Ends the stream. The names stay in the cache. */
  async stop(): Promise<void> {
    this.#stop.abort();
    await this.#running;
  }

  status(): OperatorStatus {
    return {
      address: this.#options.address,
      connected: this.#connected,
      synced: this.#synced,
      ...this.#applier.position,
      ...this.#applier.stats(),
      attempts: this.#attempts,
      lastError: this.#lastError,
      lastMessageAt: this.#lastMessageAt,
      protocolVersion: this.#protocolVersion,
    };
  }

  async #run(): Promise<void> {
    const { signal } = this.#stop;
    while (!signal.aborted) {
      try {
        await this.#stream(signal);
        this.#ended("The operator ended the stream");
      } catch (error) {
        this.#ended(error instanceof Error ? error.message : String(error));
      }
      if (!signal.aborted) await sleep(this.#backoff.next(), signal);
    }
  }

  async #stream(signal: AbortSignal): Promise<void> {
    const { address, nodeName, pingMs = PING_MS } = this.#options;
    this.#attempts++;
    const url = operatorUrl(address);
    this.#applier.begin();
    const request = { nodeName, protocolVersion: PROTOCOL_VERSION, ...this.#applier.position };
    const messages = streamMessages({
      url,
      path: METHOD,
      request: toBinary(IpCacheRequestSchema, create(IpCacheRequestSchema, request)),
      tls: await tlsMaterial(url, this.#options.tls),
      connectMs: CONNECT_MS,
      pingMs,
      maxMessage: MAX_MESSAGE,
      signal,
    });
    for await (const message of messages) {
      const batch = fromBinary(IpCacheBatchSchema, message);
      this.#lastMessageAt = Date.now();
      this.#checkVersion(batch.protocolVersion);
      const { synced, shutdown } = this.#applier.apply(batch);
      if (synced) this.#completed();
      if (shutdown) return;
    }
  }

  #completed(): void {
    this.#backoff.reset();
    this.#lastError = "";
    if (!this.#connected) {
      const { address, cache } = this.#options;
      this.#options.report("info", `The operator at ${address} has told everything: ${cache.size} prefixes have names`);
    }
    this.#connected = this.#synced = true;
  }

  #ended(reason: string): void {
    this.#connected = false;
    if (this.#stop.signal.aborted) return;
    const text = `No names from the operator at ${this.#options.address}: ${reason}`;
    if (reason !== this.#lastError) {
      this.#options.report("warning", `${text}; those that are known stay, and it is tried again`);
    }
    this.#lastError = reason;
  }

  #checkVersion(version: number): void {
    if (version === this.#protocolVersion) return;
    this.#protocolVersion = version;
    if (version === PROTOCOL_VERSION) return;
    this.#options.report(
      "warning",
      `The operator speaks version ${version} of the identity protocol, this agent version ${PROTOCOL_VERSION}: ` +
        `names may lack what only one of them knows; run the same release of both`,
    );
  }
}

/**
 * The URL of an operator's address.
 * @throws SyntaxError when it is none.
 */
export function operatorUrl(address: string): string {
  const text = /^https?:\/\//.test(address) ? address : `http://${address}`;
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url === undefined || url.hostname === "" || url.pathname !== "/" || url.search !== "" || url.username !== "") {
    throw new SyntaxError(
      `Cannot use "${address}" as the operator's address: expected host:port, http://host:port or https://host:port`,
    );
  }
  return url.origin;
}

async function tlsMaterial(url: string, files: ClientTlsFiles = {}): Promise<TlsMaterial> {
  if (!url.startsWith("https:")) return {};
  const read = async (path: string | undefined) => path === undefined ? undefined : await Deno.readTextFile(path);
  const [ca, cert, key] = await Promise.all([read(files.caFile), read(files.certFile), read(files.keyFile)]);
  return {
    ...(ca !== undefined && { ca }),
    ...(cert !== undefined && { cert }),
    ...(key !== undefined && { key }),
    ...(files.serverName !== undefined && { servername: files.serverName }),
  };
}
