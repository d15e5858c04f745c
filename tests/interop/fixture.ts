/**
 * Flows for the differential tests: what Hubble's exporter could have written, made so that every filter of the CLI
 * matches some and not others. The CLI filters a file by itself with Cilium's own engine; the agent must agree.
 */

/** A GetFlowsResponse in protobuf's JSON form, proto field names. */
export interface FlowLine {
  flow: Record<string, unknown>;
  node_name: string;
  time: string;
}

interface Pod {
  namespace: string;
  pod: string;
  identity: number;
  labels: string[];
  workload: { name: string; kind: string };
  ipv4: string;
  ipv6: string;
  cluster: string;
}

function pod(namespace: string, name: string, app: string, index: number, kind = "Deployment"): Pod {
  const labels = [
    `k8s:app=${app}`,
    `k8s:io.kubernetes.pod.namespace=${namespace}`,
    `k8s:tier=${index % 2 ? "back" : "front"}`,
  ];
  return {
    namespace,
    pod: `${name}-${index}`,
    identity: 1000 + index,
    labels,
    workload: { name, kind },
    ipv4: `10.0.${index}.10`,
    ipv6: `fd00::${index}:10`,
    cluster: index % 3 === 0 ? "prod-east" : "test-cluster",
  };
}

const PODS = [
  pod("default", "web", "web", 1),
  pod("default", "webhook", "hook", 2),
  pod("shop", "cart", "cart", 3, "StatefulSet"),
  pod("shop", "web", "web", 4),
  pod("kube-system", "coredns", "kube-dns", 5, "DaemonSet"),
];

const FLAGS: Record<string, boolean>[] = [
  { SYN: true },
  { SYN: true, ACK: true },
  { ACK: true },
  { PSH: true, ACK: true },
  { FIN: true, ACK: true },
  { RST: true },
];

const HTTP = [
  {
    code: 200,
    method: "GET",
    url: "http://web.shop/page/17?q=1",
    protocol: "HTTP/1.1",
    headers: [{ key: "X-Id", value: "7" }],
  },
  { code: 404, method: "POST", url: "/api/cart", protocol: "HTTP/1.1", headers: [{ key: "x-id", value: "7" }] },
  { code: 503, method: "get", url: "http://other.example/page/x", protocol: "HTTP/2", headers: [] },
];

/** The time of flow number `index`: one every 100 ms. */
export function timeOf(index: number): string {
  return new Date(Date.UTC(2026, 2, 4, 5, 6, 7) + index * 100).toISOString();
}

function endpoint(of: Pod): Record<string, unknown> {
  return {
    ID: of.identity % 100,
    identity: of.identity,
    cluster_name: of.cluster,
    namespace: of.namespace,
    labels: of.labels,
    pod_name: of.pod,
    workloads: [of.workload],
  };
}

const WORLD = { identity: 2, labels: ["reserved:world"] };

function layer4(index: number): { l4: Record<string, unknown>; summary: string } {
  const ports = { source_port: 40_000 + index, destination_port: [80, 443, 53, 8080][index % 4] };
  switch (index % 6) {
    case 0:
      return { l4: { UDP: ports }, summary: "UDP" };
    case 1:
      return { l4: { ICMPv4: { type: 8 } }, summary: "ICMPv4 EchoRequest" };
    case 2:
      return { l4: { SCTP: ports }, summary: "SCTP" };
    default: {
      const flags = FLAGS[Math.floor(index / 6) % FLAGS.length];
      return { l4: { TCP: { ...ports, flags } }, summary: `TCP Flags: ${Object.keys(flags).join(", ")}` };
    }
  }
}

/** What makes flow number `index` a drop, a policy verdict, a request of layer 7, or a plain trace. */
function event(index: number): Record<string, unknown> {
  switch (index % 8) {
    case 5:
      return {
        verdict: "DROPPED",
        event_type: { type: 1, sub_type: index % 16 === 5 ? 133 : 139 },
        drop_reason: index % 16 === 5 ? 133 : 139,
        drop_reason_desc: index % 16 === 5 ? "POLICY_DENIED" : "UNSUPPORTED_L3_PROTOCOL",
      };
    case 6:
      return {
        verdict: "REDIRECTED",
        Type: "L7",
        event_type: { type: 129 },
        l7: { type: "REQUEST", latency_ns: "1200000", http: HTTP[Math.floor(index / 8) % HTTP.length] },
      };
    case 7:
      return {
        verdict: "FORWARDED",
        Type: "L7",
        event_type: { type: 129 },
        l7: {
          type: "REQUEST",
          dns: { query: index % 16 === 7 ? "web.shop.svc.cluster.local." : "cilium.io.", qtypes: ["A"] },
        },
      };
    case 4:
      return { verdict: "AUDIT", event_type: { type: 5 }, policy_match_type: 1 };
    default:
      return {
        verdict: index % 8 === 3 ? "TRANSLATED" : "FORWARDED",
        event_type: { type: 4, sub_type: [0, 3, 5, 11][index % 4] },
        trace_observation_point: ["TO_ENDPOINT", "TO_STACK", "FROM_ENDPOINT", "TO_NETWORK"][index % 4],
      };
  }
}

function flow(index: number): Record<string, unknown> {
  const source = PODS[index % PODS.length];
  const destination = index % 7 === 0 ? undefined : PODS[(index * 2 + 1) % PODS.length];
  const v6 = index % 3 === 0;
  const { l4, summary } = layer4(index);
  return {
    time: timeOf(index),
    uuid: `00000000-0000-4000-8000-${index.toString(16).padStart(12, "0")}`,
    ...event(index),
    IP: {
      source: v6 ? source.ipv6 : source.ipv4,
      destination: destination === undefined
        ? (v6 ? "2001:db8::9" : "198.51.100.9")
        : v6
        ? destination.ipv6
        : destination.ipv4,
      ipVersion: v6 ? "IPv6" : "IPv4",
      ...(index % 10 === 0 ? { encrypted: true } : {}),
      ...(index % 11 === 0 ? { source_xlated: "203.0.113.5" } : {}),
    },
    l4,
    source: index % 23 === 4 ? WORLD : endpoint(source),
    ...(index % 23 === 4 ? { source_names: ["ns1.cilium.io"] } : {}),
    destination: destination === undefined || index % 23 === 4 ? WORLD : endpoint(destination),
    ...(destination === undefined ? { destination_names: [index % 2 ? "www.cilium.io" : "api.example.com"] } : {}),
    ...(index % 9 === 0 ? { destination_service: { name: "web-svc", namespace: "shop" } } : {}),
    ...(index % 13 === 0 ? { source_service: { name: "cart", namespace: "default" } } : {}),
    node_name: index % 2 ? "prod-east/node-1" : "node-2",
    node_labels: [`kubernetes.io/hostname=node-${index % 2 ? 1 : 2}`, "topology.kubernetes.io/zone=z1"],
    traffic_direction: ["TRAFFIC_DIRECTION_UNKNOWN", "INGRESS", "EGRESS"][index % 3],
    ...(index % 4 === 3 ? {} : { is_reply: index % 4 === 1 }),
    ...(index % 5 === 0 ? { interface: { index: 2, name: "eth0" } } : { interface: { index: 7, name: "lxc7" } }),
    ...(index % 17 === 0 ? { trace_context: { parent: { trace_id: "4bf92f3577b34da6a3ce929d0e0e4736" } } } : {}),
    ...(index % 19 === 0 ? { ip_trace_id: { trace_id: "4711", ip_option_type: 136 } } : {}),
    Summary: summary,
  };
}

/** `count` flows, 100 ms apart. The same number always gives the same flows. */
export function flowLines(count: number): FlowLine[] {
  return Array.from({ length: count }, (_, index) => {
    const one = flow(index);
    return { flow: one, node_name: String(one.node_name), time: timeOf(index) };
  });
}

/** JSON lines, as `hubble observe -o json` prints and `--input-file` reads them. */
export function toJsonLines(lines: readonly FlowLine[]): string {
  return lines.map((line) => `${JSON.stringify(line)}\n`).join("");
}
