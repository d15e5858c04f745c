import type { FileStatus } from "../identity/file_source.ts";
import type { OperatorStatus } from "../identity/operator_source.ts";
import type { AgentState } from "./agent.ts";

/** Registers how the agent stands with its operator. */
export function registerOperatorMetrics(
  { metrics }: Pick<AgentState, "metrics">,
  status: () => OperatorStatus,
): void {
  const gauge = (name: string, help: string, value: (status: OperatorStatus) => number) => {
    metrics.gauge({ name, help, read: () => [{ value: value(status()) }] });
  };
  const counter = (name: string, help: string, value: (status: OperatorStatus) => number) => {
    metrics.counter({ name, help, read: () => [{ value: value(status()) }] });
  };
  gauge(
    "retina_ip_cache_connected",
    "Whether the stream of names from the operator is open and complete",
    ({ connected }) => Number(connected),
  );
  gauge("retina_ip_cache_synced", "Whether the agent has had all names at least once", ({ synced }) => Number(synced));
  gauge("retina_ip_cache_revision", "Revision of the names that the agent has", ({ revision }) => Number(revision));
  gauge(
    "retina_ip_cache_last_message_timestamp_seconds",
    "When the operator was last heard of, in seconds since 1970; 0: never",
    ({ lastMessageAt }) => lastMessageAt / 1000,
  );
  counter("retina_ip_cache_attempts_total", "Streams from the operator that were begun", ({ attempts }) => attempts);
  counter(
    "retina_ip_cache_malformed_updates_total",
    "Updates whose address could not be read",
    ({ malformed }) => malformed,
  );
  counter(
    "retina_ip_cache_swept_entries_total",
    "Entries that a snapshot removed: missed while there was no operator",
    ({ swept }) => swept,
  );
  metrics.counter({
    name: "retina_ip_cache_updates_total",
    help: "Updates that were applied, by kind",
    labels: ["kind"],
    read: () => {
      const { upserts, deletes } = status();
      return [{ labels: { kind: "upsert" }, value: upserts }, { labels: { kind: "delete" }, value: deletes }];
    },
  });
}

/** Registers how many flows came before the names. */
export function countUnnamed({ metrics, store, ipCache }: Pick<AgentState, "metrics" | "store" | "ipCache">): void {
  // The position of the store when the names came; until then every flow comes before them.
  let named: number | undefined;
  ipCache.onSynced(() => named = store.head);
  metrics.counter({
    name: "retina_flows_before_names_total",
    help: "Flows that were captured before the names had arrived: they keep the address alone",
    read: () => [{ value: named ?? store.head }],
  });
}

/** Registers how it stands with the identity file. */
export function registerFileMetrics({ metrics }: Pick<AgentState, "metrics">, status: () => FileStatus): void {
  metrics.gauge({
    name: "retina_identity_file_entries",
    help: "Addresses and CIDRs that the identity file names",
    read: () => [{ value: status().entries }],
  });
  metrics.counter({
    name: "retina_identity_file_loads_total",
    help: "Readings of the identity file, by whether it could be used",
    labels: ["result"],
    read: () => {
      const { loads, failures } = status();
      return [{ labels: { result: "loaded" }, value: loads }, { labels: { result: "refused" }, value: failures }];
    },
  });
}
