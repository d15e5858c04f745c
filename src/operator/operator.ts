import { EnvironmentError } from "../cli/errors.ts";
import { aborted } from "../cli/program.ts";
import { GrpcRouter } from "../hubble/grpc/router.ts";
import { DEFAULT_LIMITS } from "../hubble/limits.ts";
import { type Listener, listenTcp } from "../hubble/listener.ts";
import { Sessions } from "../hubble/sessions.ts";
import { TlsFiles } from "../hubble/tls.ts";
import { type DebugServer, startDebugServer } from "../telemetry/http.ts";
import { configureLogs, logger } from "../telemetry/log.ts";
import { Metrics } from "../telemetry/metrics.ts";
import { debugHandlers } from "./debug.ts";
import type { KubeApi } from "./kube/api.ts";
import { findCluster } from "./kube/config.ts";
import type { ReflectorLimits } from "./kube/reflector.ts";
import { ClusterWatchers } from "./kube/watchers.ts";
import { LeaderElector, type LeaseTimes } from "./leader.ts";
import { registerOperatorMetrics } from "./metrics.ts";
import type { OperatorOptions } from "./options.ts";
import { Publisher } from "./publish/publisher.ts";
import { IpCacheService } from "./publish/service.ts";
import { ClusterState } from "./state/cluster_state.ts";
import { VERSION } from "./version.ts";

/** A running operator. */
export interface Operator {
  readonly grpcPort: number;
  readonly debugPort: number;
  readonly state: ClusterState;
  /** Whether agents are served by this replica, with everything listed. */
  readonly serving: boolean;
  stop(): Promise<void>;
}

/** What tests make different. */
export interface OperatorTuning {
  readonly limits?: Partial<ReflectorLimits>;
  readonly lease?: Partial<LeaseTimes>;
}

type Report = (level: "info" | "warning", message: string) => void;

/** Namespace of the Lease when neither flags nor credentials tell. */
const LEASE_NAMESPACE = "kube-system";
/** Time for agents to read that they are sent away, in milliseconds. */
const FLUSH_MS = 500;
/** Agents are one connection each, and speak every 20 s if they are alive. */
const LIMITS = {
  ...DEFAULT_LIMITS,
  maxConnections: 20_000,
  maxStreams: 16,
  maxMessageBytes: 65_536,
  keepaliveMs: 20_000,
};

/** Runs the operator until the signal is aborted. */
export async function runOperator(options: OperatorOptions, signal: AbortSignal): Promise<void> {
  await configureLogs(options.logLevel, options.logFormat);
  const log = logger("operator");
  const operator = await startOperator(options, (level, message) => log[level](message.replaceAll("{", "{{")));
  await aborted(signal);
  await operator.stop();
}

/**
 * Starts the operator.
 * @throws EnvironmentError when there is no cluster to be found or a port is taken. Nothing runs then.
 */
export async function startOperator(
  options: OperatorOptions,
  report: Report,
  tuning: OperatorTuning = {},
): Promise<Operator> {
  const api = await findCluster(options.kubeconfig);
  const state = new ClusterState(options.clusterName);
  const intervalMs = (): number => batchInterval(options.batchInterval, service.connected);
  const publisher = new Publisher(state, { intervalMs, logBytes: options.changeLogBytes });
  const elector = options.leaderElect ? newElector(options, api, report, tuning, () => changed()) : undefined;
  const leads = () => elector?.leading ?? true;
  const service = new IpCacheService(
    {
      get log() {
        return publisher.log;
      },
      get refusal() {
        return leads() ? undefined : `This replica of the operator does not lead; ${elector?.holder || "nobody"} does`;
      },
    },
    (node, connected) => logger("operator").debug(`Agent {node} ${connected ? "connected" : "left"}`, { node }),
  );
  const changed = () => {
    if (!leads()) service.dismiss("This replica of the operator no longer leads");
  };
  const watchers = new ClusterWatchers({
    api,
    state,
    onChange: () => publisher.poke(),
    onSynced: () => {
      publisher.start();
      service.start();
      report("info", `Listed the cluster: ${state.entries.size} prefixes have names`);
    },
    report,
    ...(tuning.limits && { limits: tuning.limits }),
  });
  const grpc = await listenGrpc(options, service, report);
  const leader = () => ({ leading: leads(), holder: elector?.holder ?? options.identity });
  let debug: DebugServer;
  try {
    debug = listenDebug(options, { state, service, watchers, publisher, leader });
  } catch (error) {
    grpc.close();
    throw error;
  }
  watchers.start();
  elector?.start();
  report("info", `retina-operator ${VERSION} serves agents at ${grpc.listener.address} and watches ${api.server}`);
  return {
    grpcPort: grpc.listener.port ?? options.grpcPort,
    debugPort: debug.address.port,
    state,
    get serving() {
      return leads() && publisher.log !== undefined;
    },
    async stop() {
      grpc.listener.close();
      await elector?.stop();
      service.dismiss("The operator is stopping");
      await grpc.drain();
      publisher.stop();
      await Promise.all([watchers.stop(), debug.stop()]);
    },
  };
}

/** From so many agents on, a batch costs more in writing it to each of them than in anything else. */
const MANY_AGENTS = 1000;
const MAX_INTERVAL_MS = 100;

/** Milliseconds to collect changes: as asked for, and twice as long with many agents. */
export function batchInterval(asked: number, agents: number): number {
  return agents < MANY_AGENTS ? asked : Math.min(MAX_INTERVAL_MS, 2 * asked);
}

function newElector(
  options: OperatorOptions,
  api: KubeApi,
  report: Report,
  tuning: OperatorTuning,
  onChange: () => void,
): LeaderElector {
  return new LeaderElector({
    api,
    namespace: options.leaseNamespace || api.namespace || LEASE_NAMESPACE,
    name: options.leaseName,
    identity: options.identity,
    onChange,
    report,
    ...(tuning.lease && { times: tuning.lease }),
  });
}

async function listenGrpc(options: OperatorOptions, service: IpCacheService, report: Report) {
  const { tlsCertFile: certFile, tlsKeyFile: keyFile, tlsClientCaFile: clientCaFile } = options;
  const tls = certFile === undefined || keyFile === undefined
    ? undefined
    : await TlsFiles.open({ certFile, keyFile, ...(clientCaFile !== undefined && { clientCaFile }) }, (message) =>
      report("info", message));
  const router = new GrpcRouter({ maxMessageBytes: LIMITS.maxMessageBytes, headers: {} });
  service.register(router);
  const sessions = new Sessions(LIMITS);
  let listener: Listener;
  try {
    listener = await listenTcp(
      { router, sessions, limits: LIMITS },
      options.grpcAddress || undefined,
      options.grpcPort,
      tls,
    );
  } catch (error) {
    sessions.destroy();
    tls?.[Symbol.dispose]();
    throw portError(error, "--grpc-port", options.grpcPort);
  }
  const close = () => {
    listener.close();
    sessions.destroy();
    tls?.[Symbol.dispose]();
  };
  return {
    listener,
    close,
    async drain() {
      sessions.goaway();
      await sessions.closed(FLUSH_MS);
      close();
    },
  };
}

interface Parts {
  readonly state: ClusterState;
  readonly service: IpCacheService;
  readonly watchers: ClusterWatchers;
  readonly publisher: Publisher;
  readonly leader: () => { leading: boolean; holder: string };
}

function listenDebug(options: OperatorOptions, { state, service, watchers, publisher, leader }: Parts): DebugServer {
  const metrics = new Metrics();
  const sources = {
    service: () => service.stats(),
    watchers: () => watchers.status(),
    log: () => publisher.log,
  };
  registerOperatorMetrics(metrics, {
    ...sources,
    state: () => state.stats(),
    published: () => publisher.changes,
    leading: () => leader().leading,
    synced: () => watchers.synced,
  });
  try {
    return startDebugServer({
      hostname: options.debugAddress,
      port: options.debugPort,
      metrics: () => metrics.render(),
      health: () => ({ ok: true, reasons: [] }),
      // A replica that does not lead is ready too: it waits with everything listed.
      ready: () => ({
        ok: watchers.synced,
        reasons: watchers.status().filter(({ synced }) => !synced).map(({ kind, lastError }) =>
          `${kind} is not listed yet${lastError && `: ${lastError}`}`
        ),
        details: [leader().leading ? "leading" : `standing by for ${leader().holder || "nobody"}`],
      }),
      debug: debugHandlers({ state, ...sources, leader }),
      debugRemote: options.debugRemote,
      onError: (error, path) => logger("http").warning("Failed to answer {path}: {error}", { path, error }),
    });
  } catch (error) {
    throw portError(error, "--debug-port", options.debugPort);
  }
}

function portError(cause: unknown, flag: string, port: number): EnvironmentError {
  const taken = cause instanceof Deno.errors.AddrInUse || /in use/.test(cause instanceof Error ? cause.message : "");
  const reason = taken ? "the port is taken; stop the other process or choose another" : `choose another`;
  return new EnvironmentError(`Cannot listen on port ${port}: ${reason} ${flag}`, taken ? undefined : { cause });
}
