/** One answer of a probe: whether it passes, and a line for every part that was asked. */
export interface Probe {
  readonly ok: boolean;
  readonly reasons: readonly string[];
  /** Further state worth reading by a person, never a reason to fail. */
  readonly details?: readonly string[];
}

export interface DebugServerOptions {
  /** Address to listen on; empty means every IPv6 and IPv4 address of the host. */
  readonly hostname: string;
  readonly port: number;
  /** Text of `/metrics` in the Prometheus exposition format, and its content type. */
  readonly metrics: () => Promise<{ body: string; contentType: string }>;
  readonly health: () => Probe;
  readonly ready: () => Probe;
  /** Handlers below `/debug/`, by path. They may reveal names and addresses, so only loopback clients get them. */
  readonly debug: Readonly<Record<string, (url: URL, signal: AbortSignal) => Promise<Response> | Response>>;
  /** Answer `/debug/` to every client, not to loopback clients alone. */
  readonly debugRemote: boolean;
  readonly onError: (error: unknown, path: string) => void;
}

export interface DebugServer {
  readonly address: Deno.NetAddr;
  /** Stops listening and ends requests in flight. */
  stop(): Promise<void>;
}

/**
 * Serves probes, metrics and debug endpoints over plain HTTP.
 * @throws Deno.errors.AddrInUse and the like when the address cannot be bound.
 */
export function startDebugServer(options: DebugServerOptions): DebugServer {
  const stopping = new AbortController();
  const handler = async (request: Request, info: Deno.ServeHandlerInfo<Deno.NetAddr>): Promise<Response> => {
    const url = new URL(request.url);
    try {
      return await route(
        options,
        request,
        url,
        info.remoteAddr.hostname,
        stopping.signal,
      );
    } catch (error) {
      options.onError(error, url.pathname);
      return text(`Cannot answer ${url.pathname}: ${error instanceof Error ? error.message : String(error)}\n`, 500);
    }
  };
  const server = listen(options, handler);
  return {
    address: server.addr,
    async stop() {
      stopping.abort();
      await server.shutdown();
    },
  };
}

function listen(options: DebugServerOptions, handler: Deno.ServeHandler<Deno.NetAddr>): Deno.HttpServer<Deno.NetAddr> {
  const serve = (hostname: string) => Deno.serve({ hostname, port: options.port, onListen: () => {} }, handler);
  if (options.hostname !== "") return serve(options.hostname);
  try {
    return serve("::");
  } catch (error) {
    // A node that runs without IPv6 has no "::" to bind; a taken port is the caller's to report.
    if (error instanceof Deno.errors.AddrInUse) throw error;
    return serve("0.0.0.0");
  }
}

async function route(
  options: DebugServerOptions,
  request: Request,
  url: URL,
  client: string,
  signal: AbortSignal,
): Promise<Response> {
  if (request.method !== "GET" && request.method !== "HEAD") {
    return text("Only GET is served here\n", 405, { allow: "GET, HEAD" });
  }
  switch (url.pathname) {
    case "/healthz":
      return probe(options.health());
    case "/readyz":
      return probe(options.ready());
    case "/metrics": {
      const { body, contentType } = await options.metrics();
      return new Response(body, { headers: { "content-type": contentType } });
    }
  }
  if (url.pathname === "/" || url.pathname === "/debug" || url.pathname === "/debug/") {
    return text(["/healthz", "/readyz", "/metrics", ...Object.keys(options.debug)].join("\n") + "\n");
  }
  if (!Object.hasOwn(options.debug, url.pathname)) {
    return text(`Nothing is served at ${url.pathname}: GET / lists what is\n`, 404);
  }
  if (!options.debugRemote && !isLoopback(client)) {
    return text(
      `${url.pathname} is served to loopback clients only, not to ${client}: use a port-forward, or start with --debug-remote\n`,
      403,
    );
  }
  return await options.debug[url.pathname](url, signal);
}

/** Whether an address text is in 127.0.0.0/8, is ::1, or is the IPv4-mapped form of the former. */
export function isLoopback(address: string): boolean {
  const plain = address.replace(/^\[|\]$/g, "").toLowerCase();
  return plain === "::1" || /^(::ffff:)?127\.\d+\.\d+\.\d+$/.test(plain);
}

/** A JSON answer, indented for people. */
export function json(value: unknown, status = 200): Response {
  const body = JSON.stringify(value, (_key, v) => typeof v === "bigint" ? v.toString() : v, 2) + "\n";
  return new Response(body, { status, headers: { "content-type": "application/json; charset=utf-8" } });
}

/** A plain text answer. */
export function text(body: string, status = 200, headers: Record<string, string> = {}): Response {
  return new Response(body, { status, headers: { "content-type": "text/plain; charset=utf-8", ...headers } });
}

function probe(result: Probe): Response {
  const lines = [result.ok ? "ok" : result.reasons.join(", "), ...(result.details ?? [])];
  return text(lines.join("\n") + "\n", result.ok ? 200 : 503);
}
