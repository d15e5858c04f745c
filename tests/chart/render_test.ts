/** What every rendering of the chart has to satisfy. */
import assert from "node:assert/strict";
import { parse } from "yaml";
import { run } from "../../scripts/process.ts";
import { testWith } from "../lab/need.ts";
import {
  CHART,
  container,
  environment,
  find,
  helm,
  helmBuilt,
  type Manifest,
  NAMESPACE,
  render,
  type Values,
  workloads,
} from "./chart.ts";
import { EVERYTHING, VALUE_SETS } from "./value_sets.ts";
import config from "../../deno.json" with { type: "json" };

/** Objects that belong to no namespace. */
const CLUSTER_KINDS = new Set(["ClusterRole", "ClusterRoleBinding"]);

type Labels = Readonly<Record<string, string>>;

const matches = (selector: Labels, labels: Labels) =>
  Object.entries(selector).every(([key, value]) => labels[key] === value);

testWith([helmBuilt], "helm lint finds nothing, with defaults and with everything", async () => {
  for (const values of [{}, EVERYTHING]) {
    const { code, stdout, stderr } = await helm(["lint", "--strict", CHART], values);
    assert.equal(code, 0, stdout + stderr);
    assert.doesNotMatch(stdout + stderr, /\[(WARNING|ERROR)\]/);
  }
});

Deno.test("the chart's appVersion is the programs' version", () => {
  const { appVersion } = parse(Deno.readTextFileSync(`${CHART}/Chart.yaml`));
  assert.equal(appVersion, config.version);
});

for (const [name, values] of Object.entries(VALUE_SETS)) {
  testWith([helmBuilt], `a rendering holds together: ${name}`, async () => {
    const manifests = await render(values);
    checkMetadata(manifests);
    checkSelectors(manifests);
    checkReferences(manifests);
    workloads(manifests).forEach(checkWorkload);
    checkAccounts(manifests);
  });
}

function checkMetadata(manifests: readonly Manifest[]): void {
  const ids = manifests.map(({ kind, metadata }) => `${kind} ${metadata.name}`);
  assert.deepEqual(ids.filter((id, index) => ids.indexOf(id) !== index), []);
  for (const { kind, metadata } of manifests) {
    assert.equal(metadata.namespace, CLUSTER_KINDS.has(kind) ? undefined : NAMESPACE, `${kind} ${metadata.name}`);
    assert.equal(metadata.labels["app.kubernetes.io/managed-by"], "Helm");
    assert.equal(metadata.labels["app.kubernetes.io/version"], config.version);
  }
}

/** A pod that is selected has the labels, and the port by its name; nothing selects what it should not. */
function checkSelectors(manifests: readonly Manifest[]): void {
  const all = workloads(manifests);
  for (const { metadata, spec } of all) {
    assert.ok(matches(spec.selector.matchLabels, spec.template.metadata.labels), metadata.name);
    assert.equal(
      all.filter((other) => matches(spec.selector.matchLabels, other["spec"].template.metadata.labels)).length,
      1,
    );
  }
  for (const service of manifests.filter(({ kind }) => kind === "Service")) {
    const selected = all.filter(({ spec }) => matches(service["spec"].selector, spec.template.metadata.labels));
    assert.equal(selected.length, 1, `Service ${service.metadata.name} selects ${selected.length} workloads`);
    const names = portNames(selected[0]);
    for (const { targetPort } of service["spec"].ports) assert.ok(names.includes(targetPort), `${targetPort}`);
  }
  for (const { kind, metadata, spec } of manifests) {
    const selector = spec?.podSelector ??
      (["PodMonitor", "PodDisruptionBudget"].includes(kind) ? spec.selector : undefined);
    if (selector === undefined) continue;
    assert.equal(
      all.filter((one) => matches(selector.matchLabels, one["spec"].template.metadata.labels)).length,
      1,
      `${kind} ${metadata.name}`,
    );
  }
  for (const monitor of manifests.filter(({ kind }) => kind === "ServiceMonitor")) {
    const services = manifests.filter((one) =>
      one.kind === "Service" && matches(monitor["spec"].selector.matchLabels, one.metadata.labels)
    );
    assert.equal(services.length, 1, `ServiceMonitor ${monitor.metadata.name} selects ${services.length} Services`);
    assert.equal(services[0]["spec"].ports[0].name, monitor["spec"].endpoints[0].port);
  }
}

function portNames(workload: Manifest): string[] {
  return workload["spec"].template.spec.containers.flatMap((one: { ports?: { name: string }[] }) =>
    (one.ports ?? []).map(({ name }) => name)
  );
}

/** What is mounted exists: by this chart, by cert-manager for it, or because the values name it. */
function checkReferences(manifests: readonly Manifest[]): void {
  const secrets = new Set([
    ...manifests.filter(({ kind }) => kind === "Secret").map(({ metadata }) => metadata.name),
    ...manifests.filter(({ kind }) => kind === "Certificate").map(({ spec }) => spec.secretName),
    ...["my-agent", "my-operator", "my-relay", "my-client"],
  ]);
  for (const { metadata, spec } of workloads(manifests)) {
    const pod = spec.template.spec;
    const volumes = new Map<string, { secret?: { secretName: string }; configMap?: { name: string } }>(
      pod.volumes.map((volume: { name: string }) => [volume.name, volume]),
    );
    for (const { volumeMounts } of pod.containers) {
      for (const { name } of volumeMounts ?? []) assert.ok(volumes.has(name), `${metadata.name} mounts ${name}`);
    }
    for (const { secret, configMap } of volumes.values()) {
      if (secret !== undefined) assert.ok(secrets.has(secret.secretName), `no Secret ${secret.secretName}`);
      if (configMap !== undefined) find(manifests, "ConfigMap", configMap.name);
    }
    find(manifests, "ServiceAccount", pod.serviceAccountName);
  }
}

function checkWorkload(workload: Manifest): void {
  const { metadata, spec } = workload;
  const pod = spec.template.spec;
  assert.deepEqual(pod.nodeSelector, { "kubernetes.io/os": "linux" });
  for (const one of pod.containers) {
    const { securityContext, image, livenessProbe, readinessProbe } = one;
    assert.deepEqual(securityContext.capabilities.drop, ["ALL"], metadata.name);
    assert.equal(securityContext.readOnlyRootFilesystem, true);
    assert.equal(securityContext.allowPrivilegeEscalation, false);
    assert.match(image, /^[^:@]+(:\d+\/[^:@]+)?(:[\w.-]+|@sha256:[0-9a-f]{64})$/);
    // The port of every probe is one that the container has.
    for (const probe of [livenessProbe, readinessProbe, one.startupProbe]) {
      if (probe?.httpGet !== undefined) {
        assert.ok(one.ports.some((p: { name: string }) => p.name === probe.httpGet.port));
      }
      if (probe?.grpc !== undefined) {
        assert.ok(one.ports.some((p: { containerPort: number }) => p.containerPort === probe.grpc.port));
      }
    }
    if (one.name !== "backend") assert.ok(livenessProbe && readinessProbe, `${metadata.name} has no probes`);
  }
  if (metadata.name.endsWith("-agent")) return;
  assert.deepEqual(workload.podSecurity, { baseline: [], restricted: [] }, metadata.name);
  assert.ok(pod.securityContext.runAsNonRoot, metadata.name);
  assert.equal(pod.securityContext.seccompProfile.type, "RuntimeDefault");
  assert.ok(pod.hostNetwork !== true && pod.hostPID !== true, metadata.name);
}

/** Only those that ask the API server get a token. */
function checkAccounts(manifests: readonly Manifest[]): void {
  const bound = new Set(
    manifests.filter(({ kind }) => kind.endsWith("RoleBinding")).map(({ subjects }) => subjects[0].name),
  );
  for (const { spec } of workloads(manifests)) {
    const { serviceAccountName, automountServiceAccountToken } = spec.template.spec;
    assert.equal(automountServiceAccountToken === false, !bound.has(serviceAccountName), serviceAccountName);
  }
}

testWith([helmBuilt], "the agent is on every node, with its capabilities and nothing else of the node", async () => {
  const manifests = await render();
  const agent = find(manifests, "DaemonSet", "retina-agent");
  const pod = agent["spec"].template.spec;
  assert.deepEqual(pod.tolerations, [{ operator: "Exists" }]);
  assert.equal(pod.priorityClassName, "system-node-critical");
  assert.deepEqual([pod.hostNetwork, pod.hostPID, pod.hostIPC], [true, undefined, undefined]);
  assert.equal(pod.dnsPolicy, "ClusterFirstWithHostNet");
  assert.equal(pod.securityContext.seccompProfile.type, "RuntimeDefault");
  assert.deepEqual(pod.volumes.map((volume: Record<string, unknown>) => Object.keys(volume).toSorted()), [
    ["emptyDir", "name"],
    ["name", "secret"],
  ]);
  const { securityContext } = container(agent, "agent");
  assert.deepEqual(securityContext.capabilities.add, ["BPF", "PERFMON", "NET_ADMIN"]);
  assert.equal(securityContext.privileged, false);
  const env = environment(container(agent, "agent"));
  assert.deepEqual(Object.fromEntries(env), { NODE_NAME: "{spec.nodeName}", DENO_USE_CGROUPS: "1" });
});

testWith(
  [helmBuilt],
  "all that the Pod Security Standards' baseline forbids is in the agent, and of that the least",
  async () => {
    const manifests = await render();
    const agent = find(manifests, "DaemonSet", "retina-agent").podSecurity;
    assert.deepEqual(agent?.baseline, ["non-default capabilities", "host namespaces", "seLinuxOptions"]);
    assert.deepEqual(find(manifests, "Pod", "retina-test").podSecurity?.restricted, ["host namespaces"]);
  },
);

testWith([helmBuilt], "the operator's replicas are apart, and all but one stay in disruptions", async () => {
  const manifests = await render();
  const { spec } = find(manifests, "Deployment", "retina-operator");
  assert.equal(spec.replicas, 2);
  const [term] = spec.template.spec.affinity.podAntiAffinity.preferredDuringSchedulingIgnoredDuringExecution;
  assert.deepEqual(term.podAffinityTerm.labelSelector.matchLabels, spec.selector.matchLabels);
  assert.equal(find(manifests, "PodDisruptionBudget", "retina-operator")["spec"].maxUnavailable, 1);
  const single = await render(VALUE_SETS["one replica"]);
  // A budget for one replica would block every drain of its node.
  assert.deepEqual(single.filter(({ kind }) => kind === "PodDisruptionBudget"), []);
});

testWith([helmBuilt], "peers are asked on the node itself, and images can be pinned", async () => {
  const manifests = await render(VALUE_SETS["digests and registries"]);
  assert.equal(find(manifests, "Service", "hubble-peer")["spec"].internalTrafficPolicy, "Local");
  const image = (name: string) =>
    container(workloads(manifests).find((one) => one.metadata.name.endsWith(name))!, name).image;
  assert.match(image("agent"), /^registry\.example\/team\/retina-agent@sha256:[0-9a-f]{64}$/);
  assert.match(image("operator"), /^registry\.example:5000\/retina-operator@sha256:[0-9a-f]{64}$/);
  const common = await render({
    imageRegistry: "registry.example/",
    operator: { image: { registry: "other.example" } },
  });
  const images = ["agent", "operator", "hubble-relay"].map((name) =>
    container(workloads(common).find((one) => one.metadata.name.endsWith(name))!, name).image
  );
  assert.deepEqual(images, [
    `registry.example/retina-agent:${config.version}`,
    `other.example/retina-operator:${config.version}`,
    "quay.io/cilium/hubble-relay:v1.19.4",
  ]);
  const plain = await render();
  assert.equal(container(find(plain, "DaemonSet", "retina-agent"), "agent").image, `retina-agent:${config.version}`);
});

testWith([helmBuilt], "Relay is of the version that the tests run", async () => {
  const modules = await Deno.readTextFile(new URL("../tools/go.mod", import.meta.url));
  const [, version] = /github\.com\/cilium\/cilium (v\S+)/.exec(modules) ?? assert.fail("no cilium in go.mod");
  const { image } = container(find(await render(), "Deployment", "hubble-relay"), "hubble-relay");
  assert.equal(image, `quay.io/cilium/hubble-relay:${version}`);
});

testWith([helmBuilt], "pods are scraped once: by annotations or by a monitor", async () => {
  const annotations = (manifests: Manifest[]) =>
    find(manifests, "DaemonSet", "retina-agent")["spec"].template.metadata.annotations ?? {};
  assert.equal(annotations(await render())["prometheus.io/port"], "10093");
  const { "prometheus.io/scrape": scrape, note } = annotations(await render(EVERYTHING));
  assert.deepEqual([scrape, note], [undefined, "agent"]);
});

testWith([helmBuilt], "a policy without peers lets nobody in, not everybody", async () => {
  const policy = async (networkPolicy: Values, more: Values = {}) =>
    find(
      await render({ networkPolicy: { enabled: true, ...networkPolicy }, ...more }),
      "NetworkPolicy",
      "hubble-relay",
    )["spec"];
  const closed = await policy({});
  assert.deepEqual([closed.ingress ?? [], closed.policyTypes], [[], ["Ingress"]]);
  for (
    const networkPolicy of [{ nodeCIDRs: ["10.0.0.0/8"] }, {
      relayFrom: [{ podSelector: { matchLabels: { app: "cli" } } }],
    }]
  ) {
    const { ingress } = await policy(networkPolicy);
    assert.deepEqual(ingress.map(({ from }: { from: unknown[] }) => from.length), [1]);
  }
  const everything = find(await render(EVERYTHING), "NetworkPolicy", "hubble-relay")["spec"].ingress[0].from;
  const [ui, cli, ...nodes] = everything;
  assert.equal(ui.podSelector.matchLabels["app.kubernetes.io/name"], "hubble-ui");
  assert.equal(cli.podSelector.matchLabels["app"], "cli");
  assert.deepEqual(nodes, [{ ipBlock: { cidr: "10.0.0.0/8" } }, { ipBlock: { cidr: "fd00::/8" } }]);
});

testWith([helmBuilt], "helm test runs where an agent runs", async () => {
  const taint = { key: "gpu", operator: "Exists" };
  const manifests = await render({ agent: { tolerations: [taint], nodeSelector: { pool: "a" } } });
  const agent = find(manifests, "DaemonSet", "retina-agent")["spec"].template.spec;
  const test = find(manifests, "Pod", "retina-test")["spec"];
  for (const field of ["tolerations", "nodeSelector", "hostNetwork"]) assert.deepEqual(test[field], agent[field]);
});

testWith([helmBuilt], "helm test asks for what policies let it reach", async () => {
  const script = async (networkPolicy: Values) =>
    container(find(await render({ networkPolicy }), "Pod", "retina-test"), "test").command[2];
  const reaches = (text: string) =>
    ["ready agent", "ready operator", "/dev/tcp/hubble-relay"].map((part) => text.includes(part));
  assert.deepEqual(reaches(await script({})), [true, true, true]);
  assert.deepEqual(reaches(await script({ enabled: true })), [true, false, false]);
  assert.deepEqual(reaches(await script({ enabled: true, nodeCIDRs: ["10.0.0.0/8"] })), [true, true, true]);
});

testWith([helmBuilt], "NOTES name commands that fit the values", async () => {
  // Helm shows NOTES to a cluster only; a copy of the chart puts them into an object.
  const folder = await Deno.makeTempDir();
  await run("cp", ["-r", CHART, `${folder}/retina`]);
  const probe = '{{ dict "notes" (include "retina/templates/NOTES.txt" .) | toYaml }}';
  await Deno.writeTextFile(`${folder}/retina/templates/probe.yaml`, probe);
  const notes = async (values: Values): Promise<string> => {
    const only = ["--show-only", "templates/probe.yaml"];
    const { code, stdout, stderr } = await helm(
      ["template", "retina", `${folder}/retina`, "--namespace", NAMESPACE, ...only],
      values,
    );
    assert.equal(code, 0, stderr);
    return parse(stdout).notes;
  };
  const usual = await notes({});
  assert.match(usual, /pod-security\.kubernetes\.io\/enforce=privileged/);
  assert.match(usual, /get secret retina-client-tls/);
  assert.match(usual, /--tls-server-name hubble-relay\.observe\.svc/);
  assert.doesNotMatch(usual, /WARNING/);
  assert.match(await notes({ tls: { mode: "plaintext" } }), /WARNING: tls\.mode is plaintext/);
  for (const values of Object.values(VALUE_SETS)) assert.match(await notes(values), /helm test -n observe retina/);
  await Deno.remove(folder, { recursive: true });
});
