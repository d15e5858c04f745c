/** Sockets that the Hubble API is served on: TCP, unix, with or without TLS. */
import {
  createSecureServer,
  createServer,
  type Http2SecureServer,
  type Http2Server,
  type ServerHttp2Session,
  type ServerHttp2Stream,
} from "node:http2";
import type { AddressInfo } from "node:net";
import { guardSessions } from "../http2/guard.ts";
import type { GrpcRouter } from "./grpc/router.ts";
import { ignoreError } from "./grpc/call.ts";
import type { Limits } from "./limits.ts";
import type { Sessions } from "./sessions.ts";
import type { TlsFiles } from "./tls.ts";
import { claimSocketPath, removeSocket } from "./unix_socket.ts";

/** A bound socket. */
export interface Listener {
  /** `host:port`, `[host]:port` or `unix:///path`. */
  readonly address: string;
  /** TCP port; undefined for a unix socket. */
  readonly port?: number;
  /** Accepts no more connections. Those that are open stay. */
  close(): void;
}

/** What every listener serves. */
export interface ListenerContext {
  readonly router: GrpcRouter;
  readonly sessions: Sessions;
  readonly limits: Limits;
}

/**
 * Listens on a TCP port.
 * @param host address to bind; undefined: all addresses, IPv6 and IPv4 where the node has them.
 * @throws Error that names address and remedy when the port is taken or the address is not this machine's.
 */
export async function listenTcp(
  context: ListenerContext,
  host: string | undefined,
  port: number,
  tls?: TlsFiles,
): Promise<Listener> {
  const server = newServer(context, tls);
  const stopReload = tls?.onChange((material) => (server as Http2SecureServer).setSecureContext(material));
  try {
    if (host === undefined) await listenDualStack(server, port);
    else await bind(server, { host, port });
  } catch (cause) {
    stopReload?.();
    throw listenError(formatAddress(host ?? "::", port), cause);
  }
  const bound = server.address() as AddressInfo;
  return {
    address: formatAddress(bound.address, bound.port),
    port: bound.port,
    close() {
      stopReload?.();
      server.close();
    },
  };
}

/**
 * Listens on a unix socket, in plain text: who may connect is a matter of file permissions. A socket left by a killed process is
 * replaced, and the file is removed on close.
 * @throws Error when a living process serves the path, or the path is something else than a socket.
 */
export async function listenUnix(context: ListenerContext, path: string): Promise<Listener> {
  await claimSocketPath(path);
  const server = newServer(context);
  try {
    await bind(server, { path });
  } catch (cause) {
    throw listenError(`unix://${path}`, cause);
  }
  return {
    address: `unix://${path}`,
    close() {
      server.close();
      removeSocket(path);
    },
  };
}

/** An IPv6 address gets brackets. */
export function formatAddress(host: string, port: number): string {
  return host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`;
}

function newServer({ router, sessions, limits }: ListenerContext, tls?: TlsFiles): Http2Server | Http2SecureServer {
  const settings = { maxConcurrentStreams: limits.maxStreams, maxHeaderListSize: limits.maxHeaderBytes };
  guardSessions();
  const server = tls === undefined
    ? createServer({ settings })
    : createSecureServer({ settings, allowHTTP1: false, minVersion: "TLSv1.3", ...tls.options(), ...tls.material });
  server.on("session", (session: ServerHttp2Session) => sessions.add(session));
  server.on("stream", (stream, headers) => router.serve(stream as ServerHttp2Stream, headers));
  // A client that speaks something else, fails the handshake or resets a connection is its own problem.
  server.on("sessionError", ignoreError);
  server.on("tlsClientError", ignoreError);
  server.on("clientError", ignoreError);
  return server;
}

async function listenDualStack(server: Http2Server | Http2SecureServer, port: number): Promise<void> {
  try {
    await bind(server, { host: "::", port, ipv6Only: false });
  } catch (error) {
    if (!NO_IPV6.has(errorCode(error))) throw error;
    await bind(server, { host: "0.0.0.0", port });
  }
}

const NO_IPV6 = new Set(["EAFNOSUPPORT", "EADDRNOTAVAIL", "EINVAL"]);

function bind(
  server: Http2Server | Http2SecureServer,
  where: { host: string; port: number; ipv6Only?: boolean } | { path: string },
): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen(where, () => {
      server.off("error", reject);
      server.on("error", ignoreError);
      resolve();
    });
  });
}

function errorCode(error: unknown): string {
  return error instanceof Error && "code" in error ? String(error.code) : "";
}

const REMEDY: Record<string, string> = {
  EADDRINUSE: "the address is in use; stop the other process or choose another --hubble-port",
  EADDRNOTAVAIL: "the address is not this machine's; choose another --hubble-address",
  EACCES: "permission denied; run as root or choose a port above 1023",
  ENOENT: "the folder does not exist; create it or choose another --hubble-socket",
};

/** Says all that the cause says, so that it is not printed behind it once more. */
function listenError(address: string, cause: unknown): Error {
  const reason = REMEDY[errorCode(cause)] ?? (cause instanceof Error ? cause.message : String(cause));
  return new Error(`Cannot listen on ${address}: ${reason}`);
}
