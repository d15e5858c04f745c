/**
 * A Kubernetes API server for tests: lists in parts, watches with bookmarks, resource versions and 410 Gone, leases, TLS with
 * client certificates, bearer tokens, and on request everything that goes wrong with a real one.
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { createServer as createSecureServer } from "node:https";
import type { AddressInfo } from "node:net";
import type { Certificates } from "../interop/certificates.ts";
import { kubeconfig } from "./kubeconfig.ts";
import { idOf } from "./history.ts";
import type { ApiObject } from "./objects.ts";
import { keyOf } from "./truth.ts";

const PATHS: Record<string, string> = {
  "/api/v1/pods": "Pod",
  "/api/v1/services": "Service",
  "/api/v1/nodes": "Node",
  "/api/v1/namespaces": "Namespace",
  "/apis/apps/v1/replicasets": "ReplicaSet",
  "/apis/batch/v1/jobs": "Job",
  "/apis/discovery.k8s.io/v1/endpointslices": "EndpointSlice",
};
const LEASES = /^\/apis\/coordination\.k8s\.io\/v1\/namespaces\/([^/]+)\/leases(?:\/([^/]+))?$/;

interface Event {
  readonly version: number;
  readonly type: "ADDED" | "MODIFIED" | "DELETED";
  readonly object: ApiObject;
}

interface Watch {
  readonly kind: string;
  readonly bookmarks: boolean;
  readonly response: ServerResponse;
}

export interface ApiServerOptions {
  /** Serve TLS, and ask clients for a certificate unless they have a token. */
  readonly certificates?: Certificates;
}

export class ApiServer {
  /** Every object, by kind and key. */
  readonly world = new Map<string, ApiObject>();
  /** Bearer token that is asked for; undefined: none. */
  token: string | undefined;
  /** Milliseconds before every answer. */
  delay = 0;
  /** Answer everything with a page of HTML and status 200, as a broken proxy does. */
  html = false;
  /** Kinds whose reading is forbidden. */
  readonly forbidden = new Set<string>();
  /** Requests so far, by `list Pod`, `watch Pod` and so on; continued lists apart. */
  readonly counts = new Map<string, number>();
  readonly #leases = new Map<string, { metadata: { resourceVersion: string } }>();
  readonly #server: Server;
  readonly #tls: Certificates | undefined;
  #events: Event[] = [];
  #version = 100;
  /** The smallest version that a watch can begin from. */
  #compacted = 100;
  readonly #watches = new Set<Watch>();
  readonly #serving = new Set<Promise<void>>();
  readonly #pages = new Map<string, { items: ApiObject[]; version: number }>();
  #serial = 0;

  private constructor(options: ApiServerOptions, tls?: { cert: string; key: string; ca: string }) {
    this.#tls = options.certificates;
    const handler = (request: IncomingMessage, response: ServerResponse) => {
      const serving = this.#serve(request, response).finally(() => this.#serving.delete(serving));
      this.#serving.add(serving);
    };
    this.#server = tls === undefined
      ? createServer(handler)
      : createSecureServer({ ...tls, requestCert: true, rejectUnauthorized: false }, handler);
  }

  static async start(options: ApiServerOptions = {}): Promise<ApiServer> {
    const files = options.certificates;
    const tls = files && {
      cert: await Deno.readTextFile(`${files.folder}/server.crt`),
      key: await Deno.readTextFile(`${files.folder}/server.key`),
      ca: await Deno.readTextFile(`${files.folder}/ca.crt`),
    };
    const server = new ApiServer(options, tls);
    await server.#listen(0);
    return server;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  get url(): string {
    return `${this.#tls === undefined ? "http" : "https"}://127.0.0.1:${this.port}`;
  }

  get watches(): number {
    return this.#watches.size;
  }

  /** Writes a kubeconfig for this server. */
  async writeKubeconfig(path: string, user: Record<string, unknown> = {}): Promise<string> {
    const cluster = {
      server: this.url,
      ...(this.#tls && { "certificate-authority": `${this.#tls.folder}/ca.crt`, "tls-server-name": "localhost" }),
    };
    await Deno.writeTextFile(path, kubeconfig(cluster, user, "kube-system"));
    return path;
  }

  /** Creates or changes objects, one event each. */
  set(...list: ApiObject[]): void {
    for (const one of list) {
      const stored = structuredClone(one);
      stored.metadata.resourceVersion = String(++this.#version);
      const type = this.world.has(idOf(one)) ? "MODIFIED" : "ADDED";
      this.world.set(idOf(one), stored);
      this.#emit({ version: this.#version, type, object: stored });
    }
  }

  /** Deletes objects by `Kind namespace/name`. */
  delete(...ids: string[]): void {
    for (const id of ids) {
      const one = this.world.get(id);
      if (one === undefined) continue;
      this.world.delete(id);
      const gone = structuredClone(one);
      gone.metadata.resourceVersion = String(++this.#version);
      this.#emit({ version: this.#version, type: "DELETED", object: gone });
    }
  }

  /** Cuts every watch off, as a load balancer does. */
  dropWatches(): void {
    for (const { response } of this.#watches) response.socket?.destroy();
    this.#watches.clear();
  }

  /** Forgets the past: watches that begin before now get 410 Gone, continued lists too. */
  compact(): void {
    this.#events = [];
    this.#compacted = ++this.#version;
    this.#pages.clear();
  }

  /** Tells running watches that they are too old, in mid-stream. */
  expireWatches(): void {
    this.compact();
    const status = { kind: "Status", code: 410, reason: "Expired", message: "too old resource version" };
    for (const { response } of this.#watches) {
      response.write(JSON.stringify({ type: "ERROR", object: status }) + "\n");
      response.end();
    }
    this.#watches.clear();
  }

  /** Sends a bookmark to every watch that asked for them. */
  bookmark(): void {
    for (const { response, bookmarks, kind } of this.#watches) {
      if (!bookmarks) continue;
      const object = { kind, metadata: { resourceVersion: String(this.#version) } };
      response.write(JSON.stringify({ type: "BOOKMARK", object }) + "\n");
    }
  }

  /** Sends a line as it stands to every watch of a kind. */
  sendRaw(kind: string, line: string): void {
    for (const watch of this.#watches) if (watch.kind === kind) watch.response.write(line);
  }

  /** Stops listening; {@link resume} takes the same port again. */
  async pause(): Promise<number> {
    const port = this.port;
    this.dropWatches();
    this.#server.closeAllConnections();
    await new Promise<void>((resolve) => this.#server.close(() => resolve()));
    return port;
  }

  async resume(port: number): Promise<void> {
    await this.#listen(port);
  }

  async stop(): Promise<void> {
    await this.pause();
    await Promise.all(this.#serving);
  }

  #listen(port: number): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#server.once("error", reject);
      this.#server.listen(port, "127.0.0.1", () => resolve());
    });
  }

  #emit(event: Event): void {
    this.#events.push(event);
    for (const { kind, response } of this.#watches) if (kind === event.object.kind) response.write(line(event));
  }

  /** Waits as long as {@link delay} says, or until the client goes: a timer must not outlive the test. */
  #wait(response: ServerResponse): Promise<void> {
    return new Promise((resolve) => {
      const done = () => {
        clearTimeout(timer);
        resolve();
      };
      const timer = setTimeout(done, this.delay);
      response.once("close", done);
    });
  }

  #count(what: string): void {
    this.counts.set(what, (this.counts.get(what) ?? 0) + 1);
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = new URL(request.url ?? "/", "http://server");
    if (this.delay > 0) await this.#wait(response);
    if (response.destroyed || request.socket.destroyed) return;
    if (this.html) {
      response.writeHead(200, { "content-type": "text/html" });
      response.end("<html><body>Sign in</body></html>");
      return;
    }
    if (!this.#allowed(request)) return fail(response, 401, "Unauthorized");
    const lease = LEASES.exec(url.pathname);
    if (lease !== null) return await this.#serveLease(request, response, `${lease[1]}/${lease[2] ?? ""}`);
    const kind = PATHS[url.pathname];
    if (kind === undefined) return fail(response, 404, `the server could not find ${url.pathname}`);
    if (this.forbidden.has(kind)) return fail(response, 403, `${kind} is forbidden`);
    if (url.searchParams.get("watch") === "true") this.#serveWatch(kind, url, response);
    else this.#serveList(kind, url, response);
  }

  #allowed(request: IncomingMessage): boolean {
    if (this.token !== undefined) return request.headers.authorization === `Bearer ${this.token}`;
    if (this.#tls === undefined) return true;
    return (request.socket as unknown as { authorized: boolean }).authorized;
  }

  #serveList(kind: string, url: URL, response: ServerResponse): void {
    const token = url.searchParams.get("continue") ?? "";
    const page = token === "" ? this.#snapshot(kind) : this.#pages.get(token);
    this.#count(`${token === "" ? "list" : "continue"} ${kind}`);
    if (page === undefined) return fail(response, 410, "the continue token is too old");
    const limit = Number(url.searchParams.get("limit") ?? 0) || page.items.length;
    const items = page.items.slice(0, limit), rest = page.items.slice(limit);
    const metadata: Record<string, unknown> = { resourceVersion: String(page.version) };
    if (rest.length > 0) {
      metadata["continue"] = `page-${++this.#serial}`;
      this.#pages.set(metadata["continue"] as string, { items: rest, version: page.version });
    }
    answer(response, 200, { kind: `${kind}List`, apiVersion: "v1", metadata, items });
  }

  #snapshot(kind: string) {
    const items = [...this.world.values()].filter((one) => one.kind === kind).sort((a, b) =>
      keyOf(a) < keyOf(b) ? -1 : 1
    );
    return { items, version: this.#version };
  }

  #serveWatch(kind: string, url: URL, response: ServerResponse): void {
    const version = Number(url.searchParams.get("resourceVersion"));
    this.#count(`watch ${kind}`);
    if (version < this.#compacted) return fail(response, 410, "too old resource version");
    response.writeHead(200, { "content-type": "application/json" });
    for (const event of this.#events) {
      if (event.object.kind === kind && event.version > version) response.write(line(event));
    }
    const watch = { kind, bookmarks: url.searchParams.get("allowWatchBookmarks") === "true", response };
    this.#watches.add(watch);
    response.flushHeaders();
    const seconds = Number(url.searchParams.get("timeoutSeconds") ?? 0);
    const timer = seconds > 0 ? setTimeout(() => response.end(), seconds * 1000) : undefined;
    response.on("error", () => {});
    response.on("close", () => {
      clearTimeout(timer);
      this.#watches.delete(watch);
    });
  }

  async #serveLease(request: IncomingMessage, response: ServerResponse, key: string): Promise<void> {
    if (request.method === "GET") {
      const lease = this.#leases.get(key);
      return lease === undefined ? fail(response, 404, "not found") : answer(response, 200, lease);
    }
    let text = "";
    for await (const chunk of request) text += chunk;
    const body = JSON.parse(text);
    const name = request.method === "POST" ? key + body.metadata.name : key;
    const before = this.#leases.get(name);
    if (request.method === "POST" && before !== undefined) return fail(response, 409, "already exists");
    if (request.method === "PUT" && before?.metadata.resourceVersion !== body.metadata.resourceVersion) {
      return fail(response, 409, "the object has been modified");
    }
    body.metadata.resourceVersion = String(++this.#version);
    this.#leases.set(name, body);
    answer(response, 200, body);
  }
}

function line({ type, object }: Event): string {
  return JSON.stringify({ type, object }) + "\n";
}

function answer(response: ServerResponse, status: number, body: unknown): void {
  response.writeHead(status, { "content-type": "application/json" });
  response.end(JSON.stringify(body));
}

function fail(response: ServerResponse, code: number, message: string): void {
  answer(response, code, { kind: "Status", status: "Failure", code, message });
}
