import type { Kind } from "../state/cluster_state.ts";

/** How one kind of objects is listed and watched. */
export interface Resource {
  readonly kind: Kind;
  /** Path of the list of all namespaces. */
  readonly path: string;
  /** Only names and owners are wanted: the server need not send the rest. */
  readonly metadataOnly: boolean;
  /** The operator can do without: it guesses what these objects would tell. */
  readonly optional: boolean;
}

/** What the operator reads. Its ClusterRole has to allow `list` and `watch` of each. */
export const RESOURCES: readonly Resource[] = [
  { kind: "Namespace", path: "/api/v1/namespaces", metadataOnly: true, optional: true },
  { kind: "Node", path: "/api/v1/nodes", metadataOnly: false, optional: false },
  { kind: "ReplicaSet", path: "/apis/apps/v1/replicasets", metadataOnly: true, optional: true },
  { kind: "Job", path: "/apis/batch/v1/jobs", metadataOnly: true, optional: true },
  { kind: "Service", path: "/api/v1/services", metadataOnly: false, optional: false },
  { kind: "EndpointSlice", path: "/apis/discovery.k8s.io/v1/endpointslices", metadataOnly: false, optional: true },
  { kind: "Pod", path: "/api/v1/pods", metadataOnly: false, optional: false },
];
