/** Hubble's gRPC API on its listeners, from start to stop. */
import type { FlowStore } from "../flow/store.ts";
import type { RecordContext } from "../flow/view.ts";
import { Health } from "../../proto/gen/grpc/health/v1/health_pb.ts";
import { Observer } from "../../proto/gen/observer/observer_pb.ts";
import { Peer } from "../../proto/gen/peer/peer_pb.ts";
import { AgentEventLog } from "./agent_events.ts";
import { GrpcRouter } from "./grpc/router.ts";
import { HealthRegistry } from "./health.ts";
import { DEFAULT_LIMITS, type Limits } from "./limits.ts";
import { formatAddress, type Listener, listenTcp, listenUnix } from "./listener.ts";
import { registerObserver } from "./observer.ts";
import { type PeerSource, registerPeer, tlsServerName } from "./peer.ts";
import { reflection } from "./reflection.ts";
import { Sessions } from "./sessions.ts";
import { TlsFiles, type TlsPaths } from "./tls.ts";

/** The Hubble API that this server conforms to: the command line warns when its own minor version is lower. */
export const HUBBLE_API_VERSION = "1.19.4";

/** Name that `hubble status` asks the health of; no service is called that. */
const CLI_HEALTH_NAME = "hubble.server.Observer";

/** Where to listen, and whom to serve. */
export interface HubbleOptions {
  /** Address of the TCP listener; empty for all, IPv4 and IPv6. */
  readonly address: string;
  /** TCP port; 0 lets the system choose. */
  readonly port: number;
  /** Path of a unix socket to serve as well. */
  readonly socket?: string;
  /** Certificate files of the TCP listener; without them it speaks plain text. */
  readonly tls?: TlsPaths;
  readonly limits?: Partial<Limits>;
}

/** What is served. */
export interface HubbleContext {
  readonly store: FlowStore;
  readonly record: RecordContext;
  /** This program and its version: `retina-agent 0.1.0`. */
  readonly version: string;
  /** Name of the cluster, empty when there is only one. */
  readonly cluster?: string;
  /** IP address that other nodes reach this one at; unset: a client's own way to this server is announced to it. */
  readonly nodeAddress?: string;
  /** Peers that Peer.Notify announces; without it this node alone. */
  readonly peers?: PeerSource;
  readonly agentEvents?: AgentEventLog;
  /** Told what an operator of the agent wants to read in the log. */
  readonly report?: (message: string) => void;
}

/** A running server. */
export interface HubbleServer {
  readonly listeners: readonly Listener[];
  /** TCP port that it is bound to. */
  readonly port: number;
  /** SERVING or not, for grpc.health.v1; a new server is not. */
  readonly health: HealthRegistry;
  readonly connections: number;
  /** Streams of GetFlows, GetAgentEvents, Notify and Watch in progress. */
  readonly streams: number;
  /** Events that clients missed because they read slower than events came, over all clients so far. */
  readonly overtaken: number;
  /** Ends followers after what the store holds now, and everything else that is left after `graceMs` milliseconds. */
  stop(graceMs?: number): Promise<void>;
}

/** Longest time that {@link HubbleServer.stop} waits for calls to end, in milliseconds: five seconds with the flush. */
const GRACE_MS = 4500;
/** Time for the last trailers to reach clients that still read, in milliseconds. */
const FLUSH_MS = 500;

/**
 * Binds all listeners and serves.
 * @throws Error with one line that says what cannot be bound or read, and what to do. Nothing stays bound then.
 */
export async function serveHubble(context: HubbleContext, options: HubbleOptions): Promise<HubbleServer> {
  const { record: { nodeName }, report = () => {} } = context;
  const limits = { ...DEFAULT_LIMITS, ...options.limits };
  const tls = options.tls && await TlsFiles.open(options.tls, report);
  const serverName = tls && tlsServerName(nodeName, context.cluster);
  const listeners: Listener[] = [];
  const port = () => listeners.find((listener) => listener.port !== undefined)?.port ?? options.port;
  const router = new GrpcRouter({
    maxMessageBytes: limits.maxMessageBytes,
    headers: { "hubble-server-version": HUBBLE_API_VERSION },
  });
  const sessions = new Sessions(limits);
  const health = new HealthRegistry([Observer.typeName, CLI_HEALTH_NAME]);
  const observer = registerObserver(router, {
    ...context,
    agentEvents: context.agentEvents ?? new AgentEventLog(),
    startedAt: performance.now(),
    address: () => context.nodeAddress ? formatAddress(context.nodeAddress, port()) : listeners[0].address,
    ...(serverName !== undefined && { tlsServerName: serverName }),
  });
  health.register(router);
  registerPeer(router, context.peers ?? thisNode(context, port, options.socket, serverName));
  router.unary(reflection([Observer, Peer, Health]));
  const dispose = () => {
    for (const listener of listeners) listener.close();
    sessions.destroy();
    observer[Symbol.dispose]();
    tls?.[Symbol.dispose]();
  };
  try {
    const listening = { router, sessions, limits };
    listeners.push(await listenTcp(listening, options.address || undefined, options.port, tls));
    if (options.socket !== undefined) listeners.push(await listenUnix(listening, options.socket));
  } catch (error) {
    dispose();
    throw error;
  }
  return {
    listeners,
    get port() {
      return port();
    },
    health,
    get connections() {
      return sessions.size;
    },
    get streams() {
      return router.calls.size;
    },
    get overtaken() {
      return observer.overtaken;
    },
    async stop(graceMs = GRACE_MS) {
      health.serving = false;
      for (const listener of listeners) listener.close();
      observer.stop();
      sessions.goaway();
      await router.drain(graceMs);
      await sessions.closed(FLUSH_MS);
      dispose();
    },
  };
}

/** This node as its only peer. */
function thisNode(
  { record: { nodeName }, nodeAddress }: HubbleContext,
  port: () => number,
  socket: string | undefined,
  serverName: string | undefined,
): PeerSource {
  return {
    current(localAddress) {
      // An IPv4 client of an IPv6 socket has an address like ::ffff:10.0.0.1.
      const host = nodeAddress ?? localAddress?.replace(/^::ffff:(?=\d+\.)/, "");
      const address = host === undefined ? `unix://${socket}` : formatAddress(host, port());
      return [{ name: nodeName, address, ...(serverName !== undefined && { tlsServerName: serverName }) }];
    },
    subscribe: () => () => {},
  };
}
