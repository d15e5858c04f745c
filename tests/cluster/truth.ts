/**
 * What every address of a cluster means, worked out from all objects at once: slow, simple, and written without the
 * operator's code, so that the two can be compared. Numeric identities are left out where they are hashes.
 */
import { formatPrefix, parsePrefix } from "../../src/identity/address.ts";
import type { ApiObject } from "./objects.ts";

/** The meaning of one prefix. */
export interface Meaning {
  readonly name: string;
  readonly labels: string;
  readonly workload: string;
  readonly service: string;
  readonly reserved: number;
}

type Candidate = Meaning & { readonly rank: number; readonly precedence: number; readonly key: string };

const NONE = { labels: "", workload: "", service: "", reserved: 0 };

/** Meanings by canonical prefix. */
export function truth(objects: readonly ApiObject[]): Map<string, Meaning> {
  const of = (kind: string) => objects.filter((one) => one.kind === kind);
  const candidates = new Map<string, Candidate[]>();
  const claim = (text: unknown, candidate: Candidate) => {
    const prefix = typeof text === "string" ? parsePrefix(text) : undefined;
    if (prefix === undefined) return;
    const key = formatPrefix(prefix);
    candidates.set(key, [...candidates.get(key) ?? [], candidate]);
  };
  const apiServers = new Set<string>();
  for (const one of of("EndpointSlice")) {
    if (serviceKey(one) !== "default/kubernetes") continue;
    for (const endpoint of endpointsOf(one)) {
      for (const ip of endpoint.addresses) apiServers.add(formatPrefix(parsePrefix(ip)!));
    }
  }
  for (const ip of apiServers) {
    claim(ip, { ...NONE, name: "", labels: "reserved:kube-apiserver", reserved: 7, rank: 3, precedence: 0, key: "" });
  }
  for (const one of of("Node")) claimNode(one, apiServers, claim);
  for (const one of of("Service")) claimService(one, claim);
  for (const one of of("Pod")) claimPod(one, of, claim);
  const out = new Map<string, Meaning>();
  for (const [prefix, list] of candidates) {
    list.sort((a, b) => a.rank - b.rank || b.precedence - a.precedence || (a.key < b.key ? -1 : 1));
    const { name, labels, workload, service, reserved } = list[0];
    out.set(prefix, { name, labels, workload, service, reserved });
  }
  return out;
}

type Claim = (text: unknown, candidate: Candidate) => void;

function claimNode(one: ApiObject, apiServers: ReadonlySet<string>, claim: Claim): void {
  const { name } = one.metadata;
  const label = `k8s:io.kubernetes.node.name=${name}`;
  const base = { ...NONE, name, precedence: created(one), key: name };
  for (const { type, address } of (one.status?.["addresses"] ?? []) as { type: string; address: string }[]) {
    if (type === "Hostname") continue;
    const api = apiServers.has(formatPrefix(parsePrefix(address)!));
    const labels = api ? [label, "reserved:kube-apiserver", "reserved:remote-node"] : [label, "reserved:remote-node"];
    claim(address, { ...base, labels: labels.join(), reserved: api ? 7 : 6, rank: 0 });
  }
  for (const cidr of (one.spec?.["podCIDRs"] ?? []) as string[]) {
    const gateway = cidr.replace(/0\/\d+$/, "1").replace(/::\/\d+$/, "::1");
    for (const own of [gateway, cidr.replace(/\/\d+$/, "")]) {
      claim(own, { ...base, labels: `${label},reserved:remote-node`, reserved: 6, rank: 4 });
    }
    claim(cidr, { ...base, name: "", labels: "reserved:init", reserved: 5, rank: 5 });
  }
}

function claimService(one: ApiObject, claim: Claim): void {
  const key = keyOf(one);
  const { namespace, name } = one.metadata;
  const api = key === "default/kubernetes";
  const labels = `k8s:io.kubernetes.pod.namespace=${namespace},k8s:io.kubernetes.svc.name=${name}`;
  const candidate = {
    ...NONE,
    name: key,
    labels: api ? `${labels},reserved:kube-apiserver` : labels,
    service: name,
    reserved: api ? 7 : 0,
    rank: 1,
    precedence: -created(one),
    key,
  };
  const ingress = ((one.status?.["loadBalancer"] as { ingress?: { ip: string }[] })?.ingress ?? []).map(({ ip }) => ip);
  const ips = [...one.spec!["clusterIPs"] as string[], ...one.spec!["externalIPs"] as string[], ...ingress];
  for (const ip of new Set(ips)) claim(ip, candidate);
}

function claimPod(one: ApiObject, of: (kind: string) => ApiObject[], claim: Claim): void {
  const phase = one.status?.["phase"];
  if (one.spec?.["hostNetwork"] === true || phase === "Succeeded" || phase === "Failed") return;
  const key = keyOf(one), namespace = one.metadata.namespace!;
  const services = of("EndpointSlice").filter((s) =>
    s.metadata.namespace === namespace && endpointsOf(s).some((e) => e.targetRef?.name === one.metadata.name)
  ).map((s) => serviceKey(s).split("/")[1]);
  const withAddress = (name: string) =>
    of("Service").some((s) => keyOf(s) === `${namespace}/${name}` && (s.spec!["clusterIPs"] as string[])[0] !== "None");
  services.sort((a, b) => Number(withAddress(b)) - Number(withAddress(a)) || (a < b ? -1 : 1));
  const own = Object.entries(one.metadata.labels ?? {}).filter(([k]) => k !== "pod-template-hash");
  const nsLabels = Object.entries(of("Namespace").find((n) => n.metadata.name === namespace)?.metadata.labels ?? {})
    .filter(([k]) => k !== "kubernetes.io/metadata.name" && k !== "pod-template-hash")
    .map(([k, v]) => [`io.cilium.k8s.namespace.labels.${k}`, v]);
  const labels = [...own, ...nsLabels, ["io.kubernetes.pod.namespace", namespace]].map(([k, v]) =>
    v ? `k8s:${k}=${v}` : `k8s:${k}`
  );
  const candidate = {
    name: key,
    labels: labels.sort().join(),
    workload: workloadOf(one, of),
    service: services[0] ?? "",
    reserved: 0,
    rank: 2,
    precedence: created(one) - (one.metadata.deletionTimestamp ? 1e15 : 0),
    key,
  };
  for (const { ip } of one.status!["podIPs"] as { ip: string }[]) claim(ip, candidate);
}

function workloadOf(one: ApiObject, of: (kind: string) => ApiObject[]): string {
  const owner = one.metadata.ownerReferences?.[0];
  if (owner === undefined) return "";
  const object = [...of("ReplicaSet"), ...of("Job")].find((o) => o.metadata.uid === owner.uid);
  if (object !== undefined) {
    const parent = object.metadata.ownerReferences?.[0] ?? owner;
    return `${parent.kind}/${parent.name}`;
  }
  const hash = one.metadata.labels?.["pod-template-hash"];
  if (owner.kind === "ReplicaSet" && hash && owner.name.endsWith(`-${hash}`)) {
    return `Deployment/${owner.name.slice(0, -hash.length - 1)}`;
  }
  if (owner.kind === "Job" && /-\d{8}$/.test(owner.name)) return `CronJob/${owner.name.slice(0, -9)}`;
  return `${owner.kind}/${owner.name}`;
}

export function keyOf(one: ApiObject): string {
  return one.metadata.namespace === undefined ? one.metadata.name : `${one.metadata.namespace}/${one.metadata.name}`;
}

function created(one: ApiObject): number {
  return Date.parse(one.metadata.creationTimestamp ?? "1970-01-01T00:00:00Z");
}

function serviceKey(one: ApiObject): string {
  return `${one.metadata.namespace}/${one.metadata.labels?.["kubernetes.io/service-name"]}`;
}

function endpointsOf(one: ApiObject): { addresses: string[]; targetRef?: { name: string } }[] {
  return (one.endpoints ?? []) as { addresses: string[]; targetRef?: { name: string } }[];
}
