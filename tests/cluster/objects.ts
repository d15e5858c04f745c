/** Builders of API objects for tests. */

export interface ApiObject {
  apiVersion: string;
  kind: string;
  metadata: {
    name: string;
    namespace?: string;
    uid: string;
    resourceVersion?: string;
    creationTimestamp?: string;
    deletionTimestamp?: string;
    labels?: Record<string, string>;
    ownerReferences?: { uid: string; kind: string; name: string; controller?: boolean }[];
  };
  spec?: Record<string, unknown>;
  status?: Record<string, unknown>;
  endpoints?: unknown[];
}

let serial = 0;

function meta(name: string, namespace?: string): ApiObject["metadata"] {
  return {
    name,
    ...(namespace !== undefined && { namespace }),
    uid: `uid-${++serial}`,
    creationTimestamp: new Date(1_700_000_000_000 + serial * 1000).toISOString(),
  };
}

export interface PodOptions {
  readonly labels?: Record<string, string>;
  readonly owner?: ApiObject;
  readonly hostNetwork?: boolean;
  readonly phase?: string;
  readonly ending?: boolean;
}

export function pod(namespace: string, name: string, ips: readonly string[], options: PodOptions = {}): ApiObject {
  const metadata = meta(name, namespace);
  if (options.labels !== undefined) metadata.labels = options.labels;
  if (options.ending) metadata.deletionTimestamp = metadata.creationTimestamp!;
  if (options.owner !== undefined) metadata.ownerReferences = [reference(options.owner)];
  return {
    apiVersion: "v1",
    kind: "Pod",
    metadata,
    spec: { hostNetwork: options.hostNetwork ?? false, nodeName: "node-1", containers: [{ name: "c", image: "i" }] },
    status: { phase: options.phase ?? "Running", podIP: ips[0], podIPs: ips.map((ip) => ({ ip })) },
  };
}

/** The pod with other members of its metadata or status; the same object to the API. */
export function changed(
  from: ApiObject,
  change: { status?: Record<string, unknown>; metadata?: Partial<ApiObject["metadata"]> },
): ApiObject {
  return {
    ...structuredClone(from),
    metadata: { ...from.metadata, ...change.metadata },
    status: { ...from.status, ...change.status },
  };
}

export function service(
  namespace: string,
  name: string,
  clusterIPs: readonly string[],
  options: { externalIPs?: string[]; ingress?: string[]; type?: string } = {},
): ApiObject {
  return {
    apiVersion: "v1",
    kind: "Service",
    metadata: meta(name, namespace),
    spec: {
      type: options.type ?? "ClusterIP",
      clusterIP: clusterIPs[0] ?? "None",
      clusterIPs: clusterIPs.length > 0 ? clusterIPs : ["None"],
      externalIPs: options.externalIPs ?? [],
    },
    status: { loadBalancer: { ingress: (options.ingress ?? []).map((ip) => ({ ip })) } },
  };
}

export function slice(
  namespace: string,
  service: string,
  name: string,
  endpoints: { ip: string; pod?: string }[],
): ApiObject {
  const metadata = meta(name, namespace);
  metadata.labels = { "kubernetes.io/service-name": service };
  return {
    apiVersion: "discovery.k8s.io/v1",
    kind: "EndpointSlice",
    metadata,
    endpoints: endpoints.map(({ ip, pod }) => ({
      addresses: [ip],
      ...(pod !== undefined && { targetRef: { kind: "Pod", name: pod, namespace } }),
    })),
  };
}

export function node(
  name: string,
  internal: readonly string[],
  podCIDRs: readonly string[] = [],
  external: readonly string[] = [],
): ApiObject {
  return {
    apiVersion: "v1",
    kind: "Node",
    metadata: meta(name),
    spec: { podCIDR: podCIDRs[0], podCIDRs },
    status: {
      addresses: [
        ...internal.map((address) => ({ type: "InternalIP", address })),
        ...external.map((address) => ({ type: "ExternalIP", address })),
        { type: "Hostname", address: name },
      ],
    },
  };
}

export function namespace(name: string, labels: Record<string, string> = {}): ApiObject {
  const metadata = meta(name);
  metadata.labels = { "kubernetes.io/metadata.name": name, ...labels };
  return { apiVersion: "v1", kind: "Namespace", metadata, status: { phase: "Active" } };
}

/** An owner as pods see it: a ReplicaSet, Job, StatefulSet and so on. */
export function owner(kind: string, namespace: string, name: string, parent?: ApiObject): ApiObject {
  const metadata = meta(name, namespace);
  if (parent !== undefined) metadata.ownerReferences = [reference(parent)];
  return { apiVersion: kind.endsWith("Job") ? "batch/v1" : "apps/v1", kind, metadata };
}

function reference(of: ApiObject) {
  return { uid: of.metadata.uid, kind: of.kind, name: of.metadata.name, controller: true };
}
