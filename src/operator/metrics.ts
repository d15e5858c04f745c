import type { Metrics } from "../telemetry/metrics.ts";
import type { ReflectorStatus } from "./kube/reflector.ts";
import type { ServiceStats } from "./publish/service.ts";
import type { ChangeLog } from "./publish/change_log.ts";
import type { ClusterStats } from "./state/cluster_state.ts";

/** Where the operator's metrics come from, read at scrape time. */
export interface OperatorMetrics {
  readonly state: () => ClusterStats;
  readonly service: () => ServiceStats;
  readonly watchers: () => readonly ReflectorStatus[];
  readonly log: () => ChangeLog | undefined;
  readonly published: () => number;
  readonly leading: () => boolean;
  readonly synced: () => boolean;
}

/** Registers what there is to know about an operator. */
export function registerOperatorMetrics(metrics: Metrics, from: OperatorMetrics): void {
  const gauge = (name: string, help: string, read: () => number) =>
    metrics.gauge({ name: `retina_operator_${name}`, help, read: () => [{ value: read() }] });
  const counter = (name: string, help: string, read: () => number) =>
    metrics.counter({ name: `retina_operator_${name}_total`, help, read: () => [{ value: read() }] });
  gauge("synced", "1 when the cluster was listed completely", () => Number(from.synced()));
  gauge("leading", "1 when this replica serves agents", () => Number(from.leading()));
  gauge("entries", "Prefixes that have a name", () => from.state().entries);
  metrics.gauge({
    name: "retina_operator_objects",
    help: "Objects that are kept, by kind",
    labels: ["kind"],
    *read() {
      const { pods, services, nodes, namespaces, slices, owners } = from.state();
      for (const [kind, value] of Object.entries({ pods, services, nodes, namespaces, slices, owners })) {
        yield { labels: { kind }, value };
      }
    },
  });
  gauge("identities", "Distinct sets of labels, each with a number", () => from.state().identities);
  gauge("identity_collisions", "Sets of labels whose number another one had", () => from.state().collisions);
  gauge("identities_shared", "Sets of labels that share a number because all are taken", () => from.state().exhausted);
  counter("changes", "Changes sent to agents", from.published);
  counter("unchanged", "Events that changed nothing for agents", () => from.state().unchanged);
  counter("malformed", "Parts of objects that could not be used", () => from.state().malformed);
  gauge("agents", "Agents connected", () => from.service().connected);
  gauge("agent_lag_batches", "Batches that the slowest agent is behind", () => from.service().lag);
  counter("snapshots", "Snapshots sent to agents that connected", () => from.service().snapshots);
  counter("resyncs", "Snapshots sent again to agents that were too slow", () => from.service().resyncs);
  counter("resumes", "Agents that went on from their revision", () => from.service().resumes);
  counter("refused", "Agents sent away because this replica does not lead", () => from.service().refused);
  gauge("change_log_bytes", "Past changes kept for agents", () => from.log()?.bytes ?? 0);
  gauge("revision", "Revision of the state that agents are brought to", () => from.log()?.revision ?? 0);
  const byKind = (name: string, help: string, read: (status: ReflectorStatus) => number) =>
    metrics.counter({
      name: `retina_operator_${name}_total`,
      help,
      labels: ["kind"],
      read: () => from.watchers().map((status) => ({ labels: { kind: status.kind }, value: read(status) })),
    });
  byKind("lists", "Complete listings", (status) => status.lists);
  byKind("watches", "Watches begun", (status) => status.watches);
  byKind("watch_events", "Events received", (status) => status.events);
  byKind("watch_errors", "Failures of lists and watches", (status) => status.errors);
}
