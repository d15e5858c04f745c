import { type ClusterState } from "../state/cluster_state.ts";
import type { KubeApi } from "./api.ts";
import { Reflector, type ReflectorLimits, type ReflectorStatus } from "./reflector.ts";
import { RESOURCES } from "./resources.ts";

/** What {@link ClusterWatchers} are made with. */
export interface WatcherOptions {
  readonly api: KubeApi;
  readonly state: ClusterState;
  /** Called after every change of the state. */
  readonly onChange: () => void;
  /** Called once: everything was listed. */
  readonly onSynced: () => void;
  readonly report: (level: "info" | "warning", message: string) => void;
  readonly limits?: Partial<ReflectorLimits>;
}

/** Keeps a {@link ClusterState} equal to the cluster. */
export class ClusterWatchers {
  readonly #reflectors: readonly Reflector[];
  #missing: number;

  constructor({ api, state, onChange, onSynced, report, limits }: WatcherOptions) {
    this.#missing = RESOURCES.length;
    this.#reflectors = RESOURCES.map((resource) =>
      new Reflector({
        api,
        resource,
        store: state.store(resource.kind),
        onChange,
        onSynced: () => {
          if (--this.#missing === 0) onSynced();
        },
        report,
        ...(limits && { limits }),
      })
    );
  }

  /** Whether everything was listed at least once. */
  get synced(): boolean {
    return this.#missing === 0;
  }

  start(): void {
    for (const reflector of this.#reflectors) reflector.start();
  }

  async stop(): Promise<void> {
    await Promise.all(this.#reflectors.map((reflector) => reflector.stop()));
  }

  status(): ReflectorStatus[] {
    return this.#reflectors.map((reflector) => reflector.status());
  }
}
