/** Random histories of a small cluster, in which everything that can collide does. */
import fc from "fast-check";
import { type ApiObject, namespace, node, owner, pod, service, slice } from "./objects.ts";
import { keyOf } from "./truth.ts";

/** One step: an object appears or changes, or vanishes. */
export type Step = { readonly set: ApiObject } | { readonly drop: string };

const ips = ["10.1.0.2", "10.1.0.3", "10.1.0.4", "10.1.0.5", "10.1.0.1", "fd00:1::2", "fd00:1::3"];
const names = ["a", "b", "c"];
const namespaces = ["default", "shop"];

const ip = fc.constantFrom(...ips);
const name = fc.constantFrom(...names);
const ns = fc.constantFrom(...namespaces);
const labels = fc.dictionary(fc.constantFrom("app", "tier", "pod-template-hash"), fc.constantFrom("x", "y", ""), {
  maxKeys: 3,
});

const deployments = names.map((n) => owner("Deployment", "shop", n));
const replicaSets = [
  ...names.map((n, i) => owner("ReplicaSet", "shop", `${n}-x`, deployments[i])),
  owner("ReplicaSet", "shop", "rollout-y", owner("Rollout", "shop", "rollout")),
  owner("ReplicaSet", "shop", "bare"),
  owner("Job", "shop", "report-28000000", owner("CronJob", "shop", "report")),
];
const owners = [...replicaSets, owner("StatefulSet", "shop", "db")];

const anyPod = fc.record({
  namespace: ns,
  name,
  ips: fc.uniqueArray(ip, { minLength: 0, maxLength: 2 }),
  labels,
  owner: fc.option(fc.constantFrom(...owners), { nil: undefined }),
  hostNetwork: fc.constantFrom(false, false, false, true),
  phase: fc.constantFrom("Running", "Running", "Pending", "Succeeded", "Failed"),
  ending: fc.constantFrom(false, false, true),
}).map(({ owner, ...p }) => pod(p.namespace, p.name, p.ips, { ...p, ...(owner && { owner }) }));

const anyService = fc.record({
  namespace: ns,
  name: fc.constantFrom("a", "b", "kubernetes"),
  clusterIPs: fc.uniqueArray(fc.constantFrom("10.96.0.1", "10.96.0.2", "fd00:96::1", "10.1.0.5"), { maxLength: 2 }),
  externalIPs: fc.uniqueArray(fc.constantFrom("192.0.2.1", "172.18.0.2"), { maxLength: 1 }),
  ingress: fc.uniqueArray(fc.constantFrom("192.0.2.1", "192.0.2.2"), { maxLength: 2 }),
}).map((s) =>
  s.clusterIPs.length === 0 ? service(s.namespace, s.name, []) : service(s.namespace, s.name, s.clusterIPs, s)
);

const anySlice = fc.record({
  namespace: ns,
  service: fc.constantFrom("a", "b", "kubernetes"),
  suffix: fc.constantFrom("1", "2"),
  endpoints: fc.array(fc.record({ ip: fc.constantFrom("10.1.0.2", "172.18.0.2", "172.18.0.9"), pod: name }), {
    maxLength: 3,
  }),
}).map((s) => slice(s.namespace, s.service, `${s.service}-${s.suffix}`, s.endpoints));

const anyNode = fc.record({
  name: fc.constantFrom("node-1", "node-2"),
  internal: fc.uniqueArray(fc.constantFrom("172.18.0.2", "172.18.0.3", "fd00:18::2"), { maxLength: 2 }),
  podCIDRs: fc.constantFrom(["10.1.0.0/24"], ["10.2.0.0/24"], ["10.1.0.0/24", "fd00:1::/64"], []),
}).map((n) => node(n.name, n.internal, n.podCIDRs));

const anyObject = fc.oneof(
  { weight: 6, arbitrary: anyPod },
  { weight: 2, arbitrary: anyService },
  { weight: 3, arbitrary: anySlice },
  { weight: 1, arbitrary: anyNode },
  { weight: 1, arbitrary: fc.tuple(ns, labels).map(([n, l]) => namespace(n, l)) },
  { weight: 2, arbitrary: fc.constantFrom(...replicaSets).map((one) => structuredClone(one)) },
);

/** Id of an object among all kinds. */
export function idOf(one: ApiObject): string {
  return `${one.kind} ${keyOf(one)}`;
}

/** A step; a dropped object is one of those that the steps before it set, so most drops hit something. */
export const anyStep: fc.Arbitrary<Step> = fc.oneof(
  { weight: 3, arbitrary: anyObject.map((set) => ({ set })) },
  { weight: 1, arbitrary: anyObject.map((one) => ({ drop: idOf(one) })) },
);
