/** Sets of values that together turn on everything that the chart can render. */
import type { Values } from "./chart.ts";

/** Every optional object. */
export const EVERYTHING: Values = {
  commonLabels: { team: "network" },
  imagePullSecrets: ["registry-key"],
  agent: {
    podInterfaces: "^veth",
    extraInterfaces: ["auto", "wg0"],
    metricsAddress: "127.0.0.1",
    identities: [
      { addresses: ["192.0.2.0/24"], labels: { site: "berlin" } },
      { addresses: ["198.51.100.7"], reserved: "kube-apiserver" },
      { addresses: ["10.1.0.2"], namespace: "shop", pod: "web", workload: { kind: "Deployment", name: "web" } },
    ],
    extraArgs: ["--perf-pages=512", "--debug-remote"],
    extraEnv: [{ name: "TZ", value: "UTC" }],
    extraCapabilities: ["SYS_RESOURCE"],
    affinity: {
      nodeAffinity: {
        requiredDuringSchedulingIgnoredDuringExecution: {
          nodeSelectorTerms: [{ matchExpressions: [{ key: "kubernetes.io/arch", operator: "In", values: ["amd64"] }] }],
        },
      },
    },
    podLabels: { color: "blue" },
    podAnnotations: { note: "agent" },
  },
  operator: { debugRemote: true, extraEnv: [{ name: "TZ", value: "UTC" }], tolerations: [{ operator: "Exists" }] },
  hubble: {
    relay: { replicas: 2, podAnnotations: { note: "relay" } },
    ui: { enabled: true, backend: { resources: { limits: { memory: "128Mi" } } } },
  },
  metrics: {
    podMonitor: {
      enabled: true,
      labels: { release: "prometheus" },
      interval: "30s",
      relabelings: [{ sourceLabels: ["__meta_kubernetes_pod_node_name"], targetLabel: "node" }],
      metricRelabelings: [{ action: "drop", regex: "nodejs_.*", sourceLabels: ["__name__"] }],
    },
    serviceMonitor: { enabled: true, labels: { release: "prometheus" } },
    prometheusRule: { enabled: true, labels: { release: "prometheus" } },
    dashboards: { enabled: true, annotations: { folder: "Network" } },
  },
  networkPolicy: {
    enabled: true,
    nodeCIDRs: ["10.0.0.0/8", "fd00::/8"],
    metricsFrom: [{ namespaceSelector: { matchLabels: { name: "monitoring" } } }],
    relayFrom: [{ podSelector: { matchLabels: { app: "cli" } } }],
  },
};

const DIGEST = `sha256:${"0123456789abcdef".repeat(4)}`;
const SECRETS = { agent: "my-agent", operator: "my-operator", relay: "my-relay", client: "my-client" };

/** By name; no two render the same. */
export const VALUE_SETS: Readonly<Record<string, Values>> = {
  defaults: {},
  everything: EVERYTHING,
  "everything, certManager": { ...EVERYTHING, tls: { mode: "certManager" } },
  "everything, secret": { ...EVERYTHING, tls: { mode: "secret", secret: SECRETS } },
  "everything, plaintext": { ...EVERYTHING, tls: { mode: "plaintext" } },
  "certManager with an issuer": {
    tls: { mode: "certManager", certManager: { issuerRef: { kind: "ClusterIssuer", name: "company" } } },
  },
  "secret without Relay": {
    tls: { mode: "secret", secret: { agent: "my-agent", operator: "my-operator" } },
    hubble: { relay: { enabled: false } },
  },
  plaintext: { tls: { mode: "plaintext" } },
  "without operator": { operator: { enabled: false }, hubble: { relay: { enabled: false } } },
  "without operator, plaintext": {
    operator: { enabled: false },
    hubble: { relay: { enabled: false } },
    tls: { mode: "plaintext" },
  },
  IPv6: {
    service: { ipFamilyPolicy: "SingleStack", ipFamilies: ["IPv6"] },
    agent: { metricsAddress: "::1" },
    networkPolicy: { enabled: true, nodeCIDRs: ["fd00::/8"] },
  },
  "digests and registries": {
    imageRegistry: "registry.example/common",
    agent: { image: { registry: "registry.example/team", digest: DIGEST } },
    operator: { image: { registry: "registry.example:5000", tag: "v1", digest: DIGEST } },
    hubble: { relay: { image: { digest: DIGEST } } },
  },
  "another name and cluster": { fullnameOverride: "watch", clusterName: "prod.east-1" },
  "one replica": { operator: { replicas: 1 } },
  "old kernels": {
    agent: {
      eventTransport: "perf",
      tcAttach: "legacy",
      extraCapabilities: ["SYS_RESOURCE", "SYS_ADMIN"],
      seccompProfile: { type: "Unconfined" },
      seLinuxOptions: {},
    },
  },
};
