import type { KubeConfig } from "@kubernetes/client-node";
import { Agent, type ClientRequest, type IncomingMessage, request as plainRequest } from "node:http";
import { Agent as SecureAgent, request as secureRequest, type RequestOptions as HttpsOptions } from "node:https";
import { asObject, type Json } from "../facts/json.ts";

/** A request to the API server. */
export interface ApiRequest {
  readonly method?: "GET" | "POST" | "PUT";
  /** Path below the server's address. */
  readonly path: string;
  readonly query?: Readonly<Record<string, string>>;
  readonly accept?: string;
  readonly body?: unknown;
  readonly signal: AbortSignal;
}

/** One set of credentials and connections. */
export interface ApiSession {
  /**
   * Sends a request; resolves with an answer of status 2xx, its body unread.
   * @throws ApiError for any other answer, whatever it contains.
   */
  send(request: ApiRequest): Promise<ApiResponse>;
  /** Closes all connections. */
  close(): void;
}

/** The body of an answer, read once. */
export interface ApiResponse {
  /** Ends with the signal's reason when the request is aborted. */
  readonly chunks: AsyncIterable<Uint8Array>;
  text(): Promise<string>;
}

/** A Kubernetes API server. */
export interface KubeApi {
  /** Address, for messages. */
  readonly server: string;
  /** Namespace of the kubeconfig's context or of the pod; empty when unknown. */
  readonly namespace: string;
  /** Reads credentials (tokens expire, certificates are renewed) and makes ready to send. */
  open(): Promise<ApiSession>;
}

/** An answer that is no success. */
export class ApiError extends Error {
  override name = "ApiError";

  constructor(readonly status: number, message: string) {
    super(message);
  }
}

/** How to get a KubeConfig; called again when the credentials were refused. */
export type LoadConfig = () => Promise<KubeConfig>;

/**
 * The API server of a KubeConfig. Requests go through node:https: on Deno the Kubernetes client's own transport (undici)
 * notices neither that a server has dropped a connection nor that a request was aborted while its body is read.
 */
export class ConfiguredApi implements KubeApi {
  readonly #load: LoadConfig;
  #config: KubeConfig;

  private constructor(load: LoadConfig, config: KubeConfig) {
    this.#load = load;
    this.#config = config;
  }

  static async create(load: LoadConfig): Promise<ConfiguredApi> {
    return new ConfiguredApi(load, await load());
  }

  get server(): string {
    return this.#config.getCurrentCluster()?.server ?? "";
  }

  get namespace(): string {
    return this.#config.getContextObject(this.#config.getCurrentContext())?.namespace ?? "";
  }

  async open(): Promise<ApiSession> {
    const options: HttpsOptions = {};
    await this.#config.applyToHTTPSOptions(options);
    const secure = this.server.startsWith("https:");
    const proxy = this.#config.getCurrentCluster()?.proxyUrl !== undefined;
    const { ca, cert, key, rejectUnauthorized, servername, headers: own, auth } = options;
    const tls = Object.fromEntries(
      Object.entries({ ca, cert, key, rejectUnauthorized, servername }).filter(([, value]) => value !== undefined),
    );
    // Connections of its own, unless there is a proxy: certificates are renewed, and an agent keeps those it began with.
    const agent = proxy
      ? options.agent as Agent
      : secure
      ? new SecureAgent({ keepAlive: true, ...tls })
      : new Agent({ keepAlive: true });
    return {
      send: async ({ method = "GET", path, query = {}, accept = "application/json", body, signal }) => {
        const url = new URL(this.server.replace(/\/$/, "") + path);
        for (const [name, value] of Object.entries(query)) url.searchParams.set(name, value);
        const headers: Record<string, string> = { ...own as Record<string, string>, accept };
        if (body !== undefined) headers["content-type"] = "application/json";
        const response = await exchange(
          (secure ? secureRequest : plainRequest)(url, { method, headers, agent, ...(auth && { auth }) }),
          body === undefined ? undefined : JSON.stringify(body),
          signal,
        );
        const status = response.statusCode ?? 0;
        if (status >= 200 && status < 300) {
          requireJson(status, response);
          return { chunks: read(response, signal), text: () => textOf(response, signal) };
        }
        // The client keeps a token for a minute: a new configuration reads it now.
        if (status === 401) this.#config = await this.#load();
        throw await errorOf(status, response, signal);
      },
      close() {
        if (!proxy) agent.destroy();
      },
    };
  }
}

/** Sends a request and waits for the headers of its answer. */
function exchange(request: ClientRequest, body: string | undefined, signal: AbortSignal): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    const abort = () => {
      request.destroy();
      reject(signal.reason);
    };
    const done = () => signal.removeEventListener("abort", abort);
    request.on("response", (response) => {
      done();
      // Whoever reads it is told; one that is dropped unread must not end the process.
      response.on("error", () => {});
      resolve(response);
    });
    request.on("error", (error) => {
      done();
      reject(error);
    });
    signal.addEventListener("abort", abort, { once: true });
    if (signal.aborted) abort();
    else request.end(body);
  });
}

async function* read(response: IncomingMessage, signal: AbortSignal): AsyncGenerator<Uint8Array> {
  const abort = () => void response.destroy();
  signal.addEventListener("abort", abort, { once: true });
  try {
    signal.throwIfAborted();
    for await (const chunk of response) yield chunk;
    signal.throwIfAborted();
  } finally {
    signal.removeEventListener("abort", abort);
    response.destroy();
  }
}

async function textOf(response: IncomingMessage, signal: AbortSignal): Promise<string> {
  const decoder = new TextDecoder();
  let text = "";
  for await (const chunk of read(response, signal)) text += decoder.decode(chunk, { stream: true });
  return text + decoder.decode();
}

/** A proxy in between may answer with a page of its own, and with success. */
function requireJson(status: number, response: IncomingMessage): void {
  const type = response.headers["content-type"] ?? "";
  if (type.includes("json")) return;
  response.destroy();
  throw new ApiError(status, `status ${status}, answered with ${type || "no content type"} where JSON was expected`);
}

/** Longest part of an answer that goes into a message, in characters. */
const MAX_QUOTE = 200;

async function errorOf(status: number, response: IncomingMessage, signal: AbortSignal): Promise<ApiError> {
  const text = await textOf(response, signal).catch(() => "");
  const message = parseObject(text)?.["message"];
  const quote = typeof message === "string" ? message : text.replace(/\s+/g, " ").trim();
  return new ApiError(status, `status ${status}${quote === "" ? "" : `: ${quote.slice(0, MAX_QUOTE)}`}`);
}

/** JSON text of an object; undefined when it is none. */
export function parseObject(text: string): Json | undefined {
  try {
    return asObject(JSON.parse(text));
  } catch {
    return undefined;
  }
}
