import { type Entry, makeEntry, type Workloads } from "./entry.ts";
import { ReservedIdentity } from "./identity.ts";
import { ciliumLabel } from "./labels.ts";
import { numberOf } from "./numeric.ts";

/** What a source says that gives no numbers and writes labels as Kubernetes does. */
export interface PlainFields {
  readonly namespace?: string;
  readonly pod?: string;
  readonly service?: string;
  readonly node?: string;
  readonly cluster?: string;
  /** `key=value` as Kubernetes has them, or with a source in front (`k8s:`, `reserved:`). */
  readonly labels?: readonly string[];
  readonly workloads?: Workloads;
}

/** Gives an entry its number and its labels in Cilium form; collisions of numbers stay. */
export function resolveEntry(fields: PlainFields): Entry {
  const { namespace = "", pod = "", service = "", node = "", labels = [] } = fields;
  const plain = labels.map((label) => label.replace(/^k8s:/, ""));
  const own = new Set(labels.map((label) => /^(k8s|reserved):/.test(label) ? label : ciliumLabel(label)));
  if (pod !== "") {
    own.add(`k8s:io.kubernetes.pod.namespace=${namespace}`);
    return entry(fields, own, numberOf(namespace, plain));
  }
  if (service !== "") {
    const name = `k8s:io.kubernetes.svc.name=${service}`;
    own.add(`k8s:io.kubernetes.pod.namespace=${namespace}`).add(name);
    const apiServer = namespace === "default" && service === "kubernetes";
    if (apiServer) own.add("reserved:kube-apiserver");
    return entry(fields, own, apiServer ? ReservedIdentity.KUBE_APISERVER : numberOf(namespace, [name]));
  }
  if (node !== "") {
    own.add(`k8s:io.kubernetes.node.name=${node}`).add("reserved:remote-node");
    return entry(fields, own, ReservedIdentity.REMOTE_NODE);
  }
  const reserved = labels.map((label) => RESERVED.get(label)).find((number) => number !== undefined);
  if (reserved !== undefined) return entry(fields, own, reserved);
  return entry(fields, own, labels.length > 0 ? numberOf(namespace, plain) : ReservedIdentity.WORLD);
}

const RESERVED: ReadonlyMap<string, number> = new Map(
  Object.entries(ReservedIdentity).map((
    [name, number],
  ) => [`reserved:${name.toLowerCase().replaceAll("_", "-")}`, number]),
);

function entry({ labels: _labels, ...fields }: PlainFields, labels: ReadonlySet<string>, numeric: number): Entry {
  if (labels.size === 0) return makeEntry({ ...fields, numeric, labels: ["reserved:world"] });
  return makeEntry({ ...fields, numeric, labels: [...labels].sort() });
}
