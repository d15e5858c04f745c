import { readKernelFile } from "../../ffi/files.ts";
import { EnvironmentError, oneLine } from "../cli/errors.ts";
import { aborted } from "../cli/program.ts";
import { InterfaceTable } from "../flow/interfaces.ts";
import { RecordSink } from "../flow/sink.ts";
import { FlowStore } from "../flow/store.ts";
import type { RecordContext } from "../flow/view.ts";
import { AgentEventLog, logIdentityChanges } from "../hubble/agent_events.ts";
import { formatAddress } from "../hubble/listener.ts";
import type { PeerSource } from "../hubble/peer.ts";
import { type HubbleOptions, type HubbleServer, serveHubble } from "../hubble/server.ts";
import { IpCache } from "../identity/ip_cache.ts";
import { IdentityTable } from "../identity/table.ts";
import { EventLoopDelay } from "../telemetry/event_loop.ts";
import { FlowMetrics } from "../telemetry/flow_metrics.ts";
import { type DebugServer, startDebugServer } from "../telemetry/http.ts";
import { configureLogs, logger } from "../telemetry/log.ts";
import { Metrics } from "../telemetry/metrics.ts";
import { startCapture } from "./capture.ts";
import { debugHandlers } from "./debug.ts";
import { HostAddresses, interfaceAddresses } from "./host_addresses.ts";
import { collectStartGarbage, releaseStartMemory } from "./memory.ts";
import { registerAgentMetrics } from "./metrics.ts";
import { startNames } from "./names.ts";
import type { AgentOptions } from "./options.ts";
import { printFlows, writeStdout } from "./printer.ts";
import { Readiness } from "./readiness.ts";
import { startReplay } from "./replay.ts";
import { VERSION } from "./version.ts";

const log = logger("agent");

/** How long the end waits for the last lines of `--print`, in milliseconds. */
const PRINT_GRACE_MS = 1000;

/** What the agent's parts share. */
export interface AgentState {
  readonly options: AgentOptions;
  readonly store: FlowStore;
  readonly ipCache: IpCache;
  readonly interfaces: InterfaceTable;
  readonly sink: RecordSink;
  readonly record: RecordContext;
  readonly flowMetrics: FlowMetrics;
  readonly metrics: Metrics;
  readonly agentEvents: AgentEventLog;
  readonly readiness: Readiness;
  readonly delay: EventLoopDelay;
}

/**
 * Runs the agent until `signal` is aborted. Ports are bound before anything is attached to the kernel, so that a taken
 * port leaves no trace; what was started is undone in the reverse order, whatever the reason.
 * @throws EnvironmentError when a port, a device or a capability is missing.
 */
export async function runAgent(options: AgentOptions, signal: AbortSignal): Promise<void> {
  await configureLogs(options.logLevel, options.logFormat);
  const state = createState(options);
  await using stack = new AsyncDisposableStack();
  state.delay.start();
  stack.defer(() => state.delay.stop());
  const host = new HostAddresses(
    state.ipCache,
    interfaceAddresses,
    (error) => log.warning("Cannot read the node's addresses: {error}", { error: oneLine(error) }),
  );
  host.start();
  stack.defer(() => host.stop());
  // The probes answer before anything else is there: without this part, no part would count as every part being ready.
  let started = false;
  state.readiness.add("agent", () => ({ alive: true, ready: started, reason: "still starting" }));
  const debug = serveDebug(state);
  stack.defer(() => debug.stop());
  const { peers } = await startNames(state, () => hubble.port, stack);
  const hubble: HubbleServer = await bindHubble(state, peers);
  stack.defer(() => hubble.stop());
  stack.defer(logIdentityChanges(state.ipCache, state.agentEvents));
  registerAgentMetrics(state, hubble);
  // Before the flows, so that it prints every one, and stopped after what attaches to the kernel.
  if (options.print) startPrinter(state, stack);
  // Nothing is captured yet that a pause could lose.
  collectStartGarbage();
  if (options.replay === undefined) await startCapture(state, stack);
  else await startReplay(state, options.replay, stack);
  state.agentEvents.started();
  hubble.health.serving = true;
  started = true;
  // Not earlier: what cannot start says why in one line, and nothing else.
  log.info("Started retina-agent {version} on node {node}", { version: VERSION, node: options.nodeName });
  const metrics = formatAddress(debug.address.hostname, debug.address.port);
  log.info("Serving metrics and probes on {address}", { address: metrics });
  for (const listener of hubble.listeners) log.info("Serving Hubble's API on {address}", { address: listener.address });
  releaseStartMemory();
  await aborted(signal);
  log.info("Stopping: {reason}", { reason: String(signal.reason) });
}

function createState(options: AgentOptions): AgentState {
  const identities = new IdentityTable();
  const ipCache = new IpCache(identities);
  const store = new FlowStore({ capacity: options.flowCapacity, identities });
  const interfaces = new InterfaceTable();
  const flowMetrics = new FlowMetrics();
  return {
    options,
    store,
    ipCache,
    interfaces,
    sink: new RecordSink({ store, ipCache, interfaces, counters: flowMetrics }),
    record: {
      nodeName: flowNodeName(options),
      uuidSalt: crypto.getRandomValues(new Uint8Array(16)),
      emitter: { name: "retina-agent", version: VERSION },
      interfaceName: (index) => interfaces.name(index),
    },
    flowMetrics,
    metrics: new Metrics(),
    agentEvents: new AgentEventLog(),
    readiness: new Readiness(),
    delay: new EventLoopDelay(),
  };
}

/** Flow.node_name: `cluster/node` where there are several clusters. */
function flowNodeName({ clusterName = "default", nodeName }: AgentOptions): string {
  return clusterName === "default" ? nodeName : `${clusterName}/${nodeName}`;
}

function serveDebug(state: AgentState): DebugServer {
  const { options, readiness, metrics, ipCache, store } = state;
  try {
    return startDebugServer({
      hostname: options.metricsAddress,
      port: options.metricsPort,
      metrics: () => metrics.render(),
      health: () => readiness.health(),
      ready: () => readiness.ready(),
      debug: debugHandlers({
        options,
        ipCache,
        readKernelFile,
        state: () => ({
          ip_cache: { entries: ipCache.size, synced: ipCache.synced },
          flow_store: {
            capacity: store.capacity,
            buffered_flows: store.head - store.oldest,
            total_flows_seen: store.head,
          },
        }),
      }),
      debugRemote: options.debugRemote,
      onError: (error, path) => log.error("Cannot answer {path}: {error}", { path, error: oneLine(error) }),
    });
  } catch (error) {
    const where = `${options.metricsAddress || "*"}:${options.metricsPort}`;
    const why = error instanceof Deno.errors.AddrInUse
      ? "the port is in use; stop the other process or choose another --metrics-port"
      : error instanceof Deno.errors.AddrNotAvailable
      ? "the address is not this machine's; choose another --metrics-address"
      : oneLine(error);
    throw new EnvironmentError(`Cannot serve metrics on ${where}: ${why}`);
  }
}

async function bindHubble(state: AgentState, peers: PeerSource | undefined): Promise<HubbleServer> {
  const { options, store, record, agentEvents, readiness } = state;
  try {
    const server = await serveHubble({
      store,
      record,
      version: `retina-agent ${VERSION}`,
      agentEvents,
      ...(peers !== undefined && { peers }),
      report: (message) => log.warning("{message}", { message }),
      ...(options.clusterName !== undefined && { cluster: options.clusterName }),
    }, hubbleOptions(options));
    readiness.add("hubble", () => ({ alive: true, ready: server.health.serving, reason: "not serving yet" }));
    return server;
  } catch (error) {
    throw new EnvironmentError(oneLine(error));
  }
}

function hubbleOptions(options: AgentOptions): HubbleOptions {
  const { tlsCertFile: certFile, tlsKeyFile: keyFile, tlsClientCaFile: clientCaFile, hubbleSocket: socket } = options;
  return {
    address: options.hubbleAddress,
    port: options.hubblePort,
    ...(socket !== undefined && { socket }),
    ...(certFile !== undefined && keyFile !== undefined && {
      tls: { certFile, keyFile, ...(clientCaFile !== undefined && { clientCaFile }) },
    }),
    limits: {
      maxStreams: options.maxStreams,
      maxConnections: options.maxConnections,
      maxMessageBytes: options.maxMessageBytes,
      idleMs: options.idleTimeout * 1000,
      keepaliveMs: options.keepalive * 1000,
    },
  };
}

function startPrinter(state: AgentState, stack: AsyncDisposableStack): void {
  const stop = new AbortController();
  const printing = printFlows(state.store, state.record, writeStdout, stop.signal).catch((error: unknown) => {
    // Standard output is gone (a closed pipe): printing ends, capture goes on.
    log.warning("Cannot print flows any more: {error}", { error: oneLine(error) });
  });
  stack.defer(async () => {
    stop.abort();
    // A pager that nobody scrolls keeps the last write waiting for ever.
    const { promise: late, resolve } = Promise.withResolvers<void>();
    const timer = setTimeout(resolve, PRINT_GRACE_MS);
    await Promise.race([printing, late]);
    clearTimeout(timer);
  });
}
