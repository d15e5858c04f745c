import type { ClusterNodes, NodeAddress } from "./cluster_nodes.ts";

/** A node as Peer.Notify announces it. */
export interface AnnouncedNode {
  readonly name: string;
  /** `ip:port` or `[v6]:port`. */
  readonly address: string;
  readonly tlsServerName?: string;
}

/** How nodes are announced. */
export interface NodePeersOptions {
  /** This node, which is announced even before anybody names it. */
  readonly nodeName: string;
  /** Port that all agents serve Hubble's API at. */
  readonly port: () => number;
  /** Name of the cluster; nodes are announced as `cluster/node` unless it is empty or `default`. */
  readonly cluster?: string;
  /** Name that a node's certificate carries; unset when agents speak plain text. */
  readonly tlsServerName?: (node: string) => string;
}

/** The nodes of the cluster as peers of a Hubble Relay. */
export class NodePeers {
  readonly #nodes: ClusterNodes;
  readonly #options: NodePeersOptions;

  constructor(nodes: ClusterNodes, options: NodePeersOptions) {
    this.#nodes = nodes;
    this.#options = options;
  }

  /**
   * Every node, this one included.
   * @param localAddress address that the asking client reached this node at: what to announce as long as nobody names it
   */
  current(localAddress: string | undefined): AnnouncedNode[] {
    const nodes = this.#nodes.current();
    if (localAddress !== undefined && !nodes.some(({ name }) => name === this.#options.nodeName)) {
      // An IPv4 client of an IPv6 socket has an address like ::ffff:10.0.0.1.
      nodes.push({ name: this.#options.nodeName, address: localAddress.replace(/^::ffff:(?=\d+\.)/, "") });
    }
    return nodes.map((node) => this.#announce(node));
  }

  /** Tells every change from now on; returns how to stop. */
  subscribe(listener: (change: { old?: AnnouncedNode; new?: AnnouncedNode }) => void): () => void {
    return this.#nodes.subscribe((change) =>
      listener({
        ...(change.old && { old: this.#announce(change.old) }),
        ...(change.new && { new: this.#announce(change.new) }),
      })
    );
  }

  #announce({ name, address }: NodeAddress): AnnouncedNode {
    const { port, cluster = "", tlsServerName } = this.#options;
    return {
      name: cluster === "" || cluster === "default" ? name : `${cluster}/${name}`,
      address: address.includes(":") ? `[${address}]:${port()}` : `${address}:${port()}`,
      ...(tlsServerName && { tlsServerName: tlsServerName(name) }),
    };
  }
}
