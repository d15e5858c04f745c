import { UsageError } from "../cli/errors.ts";
import { tlsServerName } from "../hubble/peer.ts";
import { ClusterNodes } from "../identity/cluster_nodes.ts";
import { NodePeers } from "../identity/node_peers.ts";
import { type ClientTlsFiles, OperatorSource, type OperatorStatus } from "../identity/operator_source.ts";
import { logger } from "../telemetry/log.ts";
import type { AgentState } from "./agent.ts";
import { registerNameMetrics } from "./name_metrics.ts";
import type { AgentOptions } from "./options.ts";

const log = logger("names");

/** What the names are good for besides flows. */
export interface Names {
  /** The cluster's nodes, for Hubble Relay; undefined when nobody tells of them. */
  readonly peers?: NodePeers;
}

/**
 * Starts the sources of names that the options ask for. None of them is waited for: flows are captured from the first
 * moment, and those that came before the names are counted.
 * @param port TCP port that Hubble's API is bound to
 * @throws UsageError for an address that cannot be one.
 */
export function startNames(state: AgentState, port: () => number, stack: AsyncDisposableStack): Names {
  const { options, readiness } = state;
  if (options.operatorAddr === undefined) return {};
  const nodes = new ClusterNodes();
  const source = operatorSource(state, options.operatorAddr, nodes);
  source.start();
  stack.defer(() => source.stop());
  readiness.add("names", () => nameHealth(source.status()));
  registerNameMetrics(state, () => source.status());
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

function operatorSource(state: AgentState, address: string, nodes: ClusterNodes): OperatorSource {
  const { options, ipCache } = state;
  const tls = operatorTls(options);
  try {
    return new OperatorSource({
      address,
      nodeName: options.nodeName,
      cache: ipCache,
      nodes,
      report: (level, message) => log[level]("{message}", { message }),
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
