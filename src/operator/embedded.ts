import type { ClusterNodes } from "../identity/cluster_nodes.ts";
import type { IpCache } from "../identity/ip_cache.ts";
import { makeIdentity } from "../identity/make.ts";
import type { KubeApi } from "./kube/api.ts";
import { findCluster } from "./kube/config.ts";
import type { ReflectorStatus } from "./kube/reflector.ts";
import { ClusterWatchers } from "./kube/watchers.ts";
import { ClusterState, type ClusterStats } from "./state/cluster_state.ts";

/** What an {@link EmbeddedOperator} is made with. */
export interface EmbeddedOptions {
  /** Unset: the pod's service account, KUBECONFIG, or `~/.kube/config`. */
  readonly kubeconfig?: string;
  readonly cluster: string;
  readonly cache: IpCache;
  readonly nodes: ClusterNodes;
  readonly report: (level: "info" | "warning", message: string) => void;
}

/** How it stands with an operator inside the agent. */
export interface EmbeddedStatus extends ClusterStats {
  readonly server: string;
  readonly synced: boolean;
  readonly watchers: readonly ReflectorStatus[];
}

/** Changes of this many milliseconds are applied together. */
const INTERVAL_MS = 50;

/**
 * The operator's watchers inside the agent, for one node or a laptop. To be imported dynamically and only when asked for:
 * the Kubernetes client costs 70 MB of memory.
 */
export class EmbeddedOperator {
  readonly #options: EmbeddedOptions;
  readonly #api: KubeApi;
  readonly #state: ClusterState;
  readonly #watchers: ClusterWatchers;
  #timer: ReturnType<typeof setTimeout> | undefined;

  private constructor(options: EmbeddedOptions, api: KubeApi) {
    this.#options = options;
    this.#api = api;
    this.#state = new ClusterState(options.cluster);
    this.#watchers = new ClusterWatchers({
      api,
      state: this.#state,
      onChange: () => this.#poke(),
      onSynced: () => this.#synced(),
      report: options.report,
    });
  }

  /**
   * Finds the cluster; nothing is asked of it yet.
   * @throws EnvironmentError when there is no configuration of a cluster.
   */
  static async create(options: EmbeddedOptions): Promise<EmbeddedOperator> {
    return new EmbeddedOperator(options, await findCluster(options.kubeconfig));
  }

  start(): void {
    this.#watchers.start();
  }

  async stop(): Promise<void> {
    clearTimeout(this.#timer);
    await this.#watchers.stop();
    clearTimeout(this.#timer);
  }

  status(): EmbeddedStatus {
    return {
      server: this.#api.server,
      synced: this.#watchers.synced,
      watchers: this.#watchers.status(),
      ...this.#state.stats(),
    };
  }

  #poke(): void {
    // Half a list would name pods without their services and owners.
    if (!this.#watchers.synced) return;
    this.#timer ??= setTimeout(() => this.#flush(), INTERVAL_MS);
  }

  #synced(): void {
    this.#flush();
    this.#options.cache.markSynced();
    const { report, cache } = this.#options;
    report("info", `Listed the cluster at ${this.#api.server}: ${cache.size} prefixes have names`);
  }

  #flush(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    const { cache, nodes } = this.#options;
    for (const { prefix, entry } of this.#state.takeChanges()) {
      if (entry === undefined) cache.delete(prefix);
      else cache.set(prefix, makeIdentity(entry));
      nodes.set(prefix, entry?.nodeAddress ? entry.node : undefined);
    }
  }
}
