import { EnvironmentError, oneLine, UsageError } from "../cli/errors.ts";
import { tlsServerName } from "../hubble/peer.ts";
import { ClusterNodes } from "../identity/cluster_nodes.ts";
import { FileSource } from "../identity/file_source.ts";
import { NodePeers } from "../identity/node_peers.ts";
import { type ClientTlsFiles, OperatorSource, type OperatorStatus } from "../identity/operator_source.ts";
import { logger } from "../telemetry/log.ts";
import type { AgentState } from "./agent.ts";
import { countUnnamed, registerFileMetrics, registerOperatorMetrics } from "./name_metrics.ts";
import type { AgentOptions } from "./options.ts";

const log = logger("names");

/** What the sources of names need of the agent. */
export type NameState = Pick<AgentState, "options" | "ipCache" | "readiness" | "metrics" | "store">;

/** What the names are good for besides flows. */
export interface Names {
  /** The cluster's nodes, for Hubble Relay; undefined when nobody tells of them. */
  readonly peers?: NodePeers;
}

/**
 * Starts the sources of names that the options ask for. Only a file is read before this returns: flows are captured from the
 * first moment, and those that came before the names are counted.
 * @param port TCP port that Hubble's API is bound to
 * @throws UsageError for an address that cannot be one, EnvironmentError for a file that cannot be used or a cluster that
 * cannot be found.
 */
export async function startNames(state: NameState, port: () => number, stack: AsyncDisposableStack): Promise<Names> {
  const { options } = state;
  const nodes = new ClusterNodes();
  if (options.operatorAddr !== undefined) followOperator(state, options.operatorAddr, nodes, stack);
  else if (options.operator === "embedded") await embedOperator(state, nodes, stack);
  if (options.identities !== undefined) await readFile(state, options.identities, nodes, stack);
  if (options.operatorAddr === undefined && options.operator === undefined) return {};
  const peers = new NodePeers(nodes, {
    nodeName: options.nodeName,
    port,
    ...(options.clusterName !== undefined && { cluster: options.clusterName }),
    ...(options.tlsCertFile !== undefined && {
      tlsServerName: (node) => tlsServerName(node, options.clusterName),
    }),
  });
  return { peers };
}

const report = (level: "info" | "warning", message: string) => log[level]("{message}", { message });

function followOperator(state: NameState, address: string, nodes: ClusterNodes, stack: AsyncDisposableStack): void {
  const source = operatorSource(state, address, nodes);
  source.start();
  stack.defer(() => source.stop());
  state.readiness.add("names", () => nameHealth(source.status()));
  registerOperatorMetrics(state, () => source.status());
  countUnnamed(state);
}

/** The Kubernetes client costs 70 MB of memory: it is imported only here. */
async function embedOperator(state: NameState, nodes: ClusterNodes, stack: AsyncDisposableStack): Promise<void> {
  const { options, ipCache: cache, readiness } = state;
  const { EmbeddedOperator } = await import("../operator/embedded.ts");
  const operator = await EmbeddedOperator.create({
    ...(options.kubeconfig !== undefined && { kubeconfig: options.kubeconfig }),
    ...{ cluster: options.clusterName ?? "", cache, nodes, report },
  });
  operator.start();
  stack.defer(() => operator.stop());
  readiness.add("names", () => {
    const { synced, server } = operator.status();
    const detail = `${synced ? "watching" : "listing"} the cluster at ${server}`;
    return { alive: true, ready: synced, reason: `not synchronized, ${detail}`, details: [detail] };
  });
  countUnnamed(state);
}

async function readFile(
  state: NameState,
  path: string,
  nodes: ClusterNodes,
  stack: AsyncDisposableStack,
): Promise<void> {
  const source = new FileSource({ path, cache: state.ipCache, nodes, report });
  try {
    await source.start();
  } catch (error) {
    throw new EnvironmentError(oneLine(error));
  }
  stack.defer(() => source.stop());
  registerFileMetrics(state, () => source.status());
  state.readiness.add("identities", () => {
    const { entries, lastError } = source.status();
    const detail = `${entries} prefixes from ${path}`;
    return { alive: true, ready: true, details: [lastError === "" ? detail : `${detail}; ${lastError}`] };
  });
}

function operatorSource(state: NameState, address: string, nodes: ClusterNodes): OperatorSource {
  const { options, ipCache } = state;
  const tls = operatorTls(options);
  try {
    return new OperatorSource({
      address,
      nodeName: options.nodeName,
      cache: ipCache,
      nodes,
      report,
      ...(tls !== undefined && { tls }),
    });
  } catch (error) {
    throw error instanceof SyntaxError ? new UsageError(error.message) : error;
  }
}

function operatorTls(options: AgentOptions): ClientTlsFiles | undefined {
  const {
    operatorCaFile: caFile,
    operatorCertFile: certFile,
    operatorKeyFile: keyFile,
    operatorServerName: serverName,
  } = options;
  if ([caFile, certFile, keyFile, serverName].every((value) => value === undefined)) return undefined;
  return {
    ...(caFile !== undefined && { caFile }),
    ...(certFile !== undefined && { certFile }),
    ...(keyFile !== undefined && { keyFile }),
    ...(serverName !== undefined && { serverName }),
  };
}

/** Names that are old are better than none: only an agent that never had any is not ready. */
function nameHealth({ synced, connected, address, attempts, lastError }: OperatorStatus) {
  const detail = connected
    ? `connected to the operator at ${address}`
    : `not connected to the operator at ${address} after ${attempts} attempts${
      lastError === "" ? "" : `: ${lastError}`
    }`;
  return { alive: true, ready: synced, reason: `not synchronized, ${detail}`, details: [detail] };
}
