/**
 * What is known of one end of a flow. An Identity is immutable: a changed pod gets a new one, so that flows of the past
 * keep the names that they were seen with.
 */
export interface Identity {
  /** Hubble's numeric security identity; reserved numbers as in {@link ReservedIdentity}. */
  readonly numeric: number;
  /** Kubernetes namespace; empty for nodes, the world and the host. */
  readonly namespace: string;
  /** Pod name; empty when the address is no pod's. */
  readonly pod: string;
  /** Name of the service whose address this is, or of one that the pod is a backend of; empty otherwise. */
  readonly service: string;
  /** Node name when the address is a node's; empty otherwise. */
  readonly node: string;
  /** Cluster name; empty when there is only one. */
  readonly cluster: string;
  /** Labels in Cilium form, sorted: `k8s:app=web`, `reserved:world`. */
  readonly labels: readonly string[];
  /** Owners that a person knows, the nearest first (a Deployment, not its ReplicaSet). */
  readonly workloads: readonly { readonly name: string; readonly kind: string }[];
  /** Names for Flow.source_names and Flow.destination_names. */
  readonly names: readonly string[];
  /** `flow.Endpoint` in protobuf form, without the field's tag and length. */
  readonly endpointBytes: Uint8Array;
  /** `flow.Service` in protobuf form, without tag and length; empty when there is no {@link service}. */
  readonly serviceBytes: Uint8Array;
}

/** Cilium's reserved numeric identities. */
export const ReservedIdentity = {
  UNKNOWN: 0,
  HOST: 1,
  WORLD: 2,
  UNMANAGED: 3,
  HEALTH: 4,
  INIT: 5,
  REMOTE_NODE: 6,
  KUBE_APISERVER: 7,
  INGRESS: 8,
} as const;
