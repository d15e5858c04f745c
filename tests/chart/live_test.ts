/**
 * What the chart renders, running: the test API server, the operator, two agents and Hubble Relay, with the arguments, files and
 * capabilities of their pods and the certificates that Helm made.
 */
import assert from "node:assert/strict";
import type { Running } from "../../scripts/process.ts";
import { AGENT, OPERATOR } from "../../scripts/permissions.ts";
import { toolPath } from "../../scripts/tools.ts";
import { node, pod } from "../cluster/objects.ts";
import { cli, CLI_ENV, relay } from "../interop/hubble.ts";
import { httpBody } from "../lab/agent.ts";
import { createLab, type Lab } from "../lab/lab.ts";
import type { Namespace } from "../lab/namespace.ts";
import { ebpf, lab as needsLab, program, testWith } from "../lab/need.ts";
import { CHART, container, find, helmBuilt, type Manifest, NAMESPACE, render } from "./chart.ts";
import { type PodOptions, startPod } from "./pod.ts";

const ROOT = new URL("../../", import.meta.url).pathname;
const NEEDS = [helmBuilt, needsLab, ebpf, cli, relay, program("unshare", "setpriv", "bash")];
const RUN = [Deno.execPath(), "run", "--quiet"];
const RELAY_HOST = `hubble-relay.${NAMESPACE}.svc`;

interface Setting {
  readonly manifests: readonly Manifest[];
  readonly lab: Lab;
  readonly folder: string;
  readonly stack: AsyncDisposableStack;
  /** Starts the agent's pod on a node of this name, in this network. */
  agent(name: string, namespace: Namespace, change?: Partial<PodOptions>): Promise<Running>;
}

/** Asks until it is so, for at most a minute; on failure tells what the processes said. */
async function until(what: string, ask: () => Promise<boolean>, ...said: readonly Running[]): Promise<void> {
  for (const end = performance.now() + 60_000; performance.now() < end;) {
    if (await ask().catch(() => false)) return;
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
  assert.fail(`Not so within a minute: ${what}\n${said.map((one) => one.stderr()).join("\n")}`);
}

/** The API server and the operator's pod, in the lab's node. */
async function withOperator(body: (setting: Setting) => Promise<void>): Promise<void> {
  await using stack = new AsyncDisposableStack();
  const folder = await Deno.makeTempDir({ prefix: "live-" });
  stack.defer(() => Deno.remove(folder, { recursive: true }));
  const lab = stack.use(await createLab());
  const manifests = await render();
  const address = lab.nodeAddresses.outside.ipv4;
  const names = [`retina-operator.${NAMESPACE}.svc`, RELAY_HOST, `hubble-peer.${NAMESPACE}.svc`];
  const hosts = Object.fromEntries(names.map((name) => [name, address]));
  const world = [
    node("lab-node", [address], ["10.244.0.0/24"]),
    node("lab-client", [lab.client.ipv4]),
    pod("shop", "web", [lab.pods[0].ipv4]),
  ];
  await Deno.writeTextFile(`${folder}/world.json`, JSON.stringify(world));
  const api = stack.use(lab.node.startDeno(["-A", `${ROOT}tests/cluster/serve.ts`, folder]));
  await api.waitForLine((line) => line === "ready");
  const operator = await startPod({
    manifests,
    workload: find(manifests, "Deployment", "retina-operator"),
    container: "operator",
    namespace: lab.node,
    program: [...RUN, ...OPERATOR, `${ROOT}operator.ts`],
    fields: { "metadata.name": "retina-operator-0", "metadata.namespace": NAMESPACE },
    // In place of the service account's token.
    args: (args) => [...args, "--kubeconfig", `${folder}/kubeconfig`],
  }, stack);
  await until("the operator is ready", async () => /^ok\nleading/.test(await http(lab.node, "9091/readyz")), operator);
  await body({
    manifests,
    lab,
    folder,
    stack,
    agent: (name, namespace, change = {}) =>
      startPod({
        manifests,
        workload: find(manifests, "DaemonSet", "retina-agent"),
        container: "agent",
        namespace,
        program: [...RUN, ...AGENT, `${ROOT}main.ts`],
        fields: { "spec.nodeName": name },
        hosts,
        ...change,
      }, stack),
  });
}

const http = (namespace: Namespace, where: string) => httpBody(namespace, `http://127.0.0.1:${where}`);

/** Names of all metrics of an exposition. */
const metricNames = (text: string) => new Set([...text.matchAll(/^# TYPE (\S+) /gm)].map(([, name]) => name));

/** The CLI with the certificate of a Secret, or without. */
async function hubble(
  setting: Setting,
  server: string,
  serverName: string,
  secret: string | undefined,
  ...args: string[]
) {
  const { data } = find(setting.manifests, "Secret", "retina-client-tls");
  const file = async (name: string, text: string) => {
    await Deno.writeTextFile(`${setting.folder}/${name}`, atob(text));
    return `${setting.folder}/${name}`;
  };
  const tls = ["--tls-ca-cert-files", await file("ca.crt", data["ca.crt"]), "--tls-server-name", serverName];
  if (secret !== undefined) {
    const own = find(setting.manifests, "Secret", secret)["data"];
    tls.push("--tls-client-cert-file", await file("client.crt", own["tls.crt"]));
    tls.push("--tls-client-key-file", await file("client.key", own["tls.key"]));
  }
  return await setting.lab.node.run(toolPath("hubble"), [...args, "--server", `tls://${server}`, ...tls], {
    env: CLI_ENV,
    allowFailure: true,
  });
}

testWith(NEEDS, "the chart's pods find each other by mutual TLS, and nobody else is let in", async (t) => {
  await withOperator(async (setting) => {
    const { manifests, lab, stack } = setting;
    const agent = await setting.agent("lab-node", lab.node);
    const second = await setting.agent("lab-client", lab.client.namespace);

    await t.step("agents are ready, with the names that the operator sent", async () => {
      for (const [process, at] of [[agent, lab.node], [second, lab.client.namespace]] as const) {
        await until("the agent is ready", async () => /^ok\n/.test(await http(at, "10093/readyz")), process);
        const metrics = await http(at, "10093/metrics");
        assert.match(metrics, /^retina_ip_cache_connected 1$/m);
        assert.match(metrics, /^retina_ip_cache_synced 1$/m);
      }
      assert.match(await http(lab.node, "10093/readyz"), /connected to the operator at https:\/\/retina-operator\./);
      assert.match(await http(lab.node, "9091/metrics"), /^retina_operator_agents 2$/m);
    });

    await t.step("an agent without a certificate, or in plain text, gets no names", async () => {
      const without = (...flags: string[]) => (args: readonly string[]) =>
        args.filter((arg) => !flags.some((flag) => arg.startsWith(flag)));
      const plain = (args: readonly string[]) => [
        ...without("--operator-")(args),
        `--operator-addr=http://retina-operator.${NAMESPACE}.svc:9090`,
      ];
      for (const args of [without("--operator-cert-file", "--operator-key-file"), plain]) {
        const stranger = await setting.agent("stranger", lab.pods[0].namespace, { args });
        await until(
          "it was refused",
          () => Promise.resolve(/No names from the operator/.test(stranger.stderr())),
          stranger,
        );
        await assert.rejects(http(lab.pods[0].namespace, "10093/readyz"));
        assert.match(await http(lab.pods[0].namespace, "10093/metrics"), /^retina_ip_cache_synced 0$/m);
        await stranger.stop();
      }
      assert.match(await http(lab.node, "9091/metrics"), /^retina_operator_agents 2$/m);
    });

    await t.step("Hubble's port serves those with a certificate alone", async () => {
      const name = "lab-node.default.hubble-grpc.cilium.io";
      const list = (secret?: string) => hubble(setting, "127.0.0.1:4244", name, secret, "list", "nodes");
      const { code, stdout, stderr } = await list("retina-client-tls");
      assert.equal(code, 0, stderr);
      assert.match(stdout, /^lab-node +Connected/m);
      assert.notEqual((await list()).code, 0);
      const plain = await lab.node.run(toolPath("hubble"), ["list", "nodes", "--server", "127.0.0.1:4244"], {
        env: CLI_ENV,
        allowFailure: true,
      });
      assert.notEqual(plain.code, 0);
    });

    const relayProcess = await startPod({
      manifests,
      workload: find(manifests, "Deployment", "hubble-relay"),
      container: "hubble-relay",
      namespace: lab.node,
      program: [toolPath("hubble-relay")],
      hosts: { [`hubble-peer.${NAMESPACE}.svc`]: lab.nodeAddresses.outside.ipv4 },
      // The Service's port leads to the agent's.
      files: (text) => text.replace(`hubble-peer.${NAMESPACE}.svc:443`, `hubble-peer.${NAMESPACE}.svc:4244`),
    }, stack);

    await t.step("Relay reads from all nodes, and serves those with a certificate alone", async () => {
      const list = (secret?: string) => hubble(setting, "127.0.0.1:4245", RELAY_HOST, secret, "list", "nodes");
      await until("Relay is connected to both nodes", async () => {
        const { stdout } = await list("retina-client-tls");
        return /^lab-client +Connected/m.test(stdout) && /^lab-node +Connected/m.test(stdout);
      }, relayProcess);
      assert.notEqual((await list()).code, 0);
      // Its health, which is the pod's readiness, is looked at every five seconds.
      await until("Relay is healthy", async () => {
        const { stdout } = await hubble(setting, "127.0.0.1:4245", RELAY_HOST, "retina-client-tls", "status");
        return /: Ok$/m.test(stdout) && /Connected Nodes: 2\/2/.test(stdout);
      }, relayProcess);
    });

    await t.step("helm test passes, and fails when the operator is away", async () => {
      const [command, flags, script] = container(find(manifests, "Pod", "retina-test"), "test").command;
      const local = script.replaceAll(/(retina-operator|hubble-relay)\.\w+\.svc/g, "127.0.0.1").replace(
        "/443",
        "/4245",
      );
      const { stdout } = await lab.node.run(command, [flags, local]);
      assert.deepEqual(stdout.trim().split("\n"), ["agent is ready", "operator is ready", "hubble-relay is ready"]);
      const elsewhere = await lab.node.run(command, [flags, local.replace(" 9091 ", " 9099 ")], { allowFailure: true });
      assert.notEqual(elsewhere.code, 0);
      const another = await lab.node.run(command, [flags, local.replace("retina_build_info", "no_such_metric")], {
        allowFailure: true,
      });
      assert.match(another.stderr, /agent tells no no_such_metric/);
    });

    await t.step("alerts and dashboard use metrics that there are", async () => {
      const names = metricNames(await http(lab.node, "10093/metrics") + await http(lab.node, "9091/metrics"));
      const used = await expressions();
      assert.ok(used.length > 20);
      for (const expression of used) {
        const metrics = metricsIn(expression);
        assert.ok(metrics.length > 0, expression);
        for (const metric of metrics) assert.ok(names.has(metric), `${metric} of ${expression} is not on /metrics`);
      }
    });
  });
}, { timeoutMs: 240_000 });

/** Every expression of the alerts and of the dashboard. */
async function expressions(): Promise<string[]> {
  const metrics = { prometheusRule: { enabled: true }, dashboards: { enabled: true } };
  const manifests = await render({ metrics });
  const { spec } = find(manifests, "PrometheusRule", "retina");
  const alerts = spec.groups.flatMap(({ rules }: { rules: { expr: string }[] }) => rules.map(({ expr }) => expr));
  const { data } = find(manifests, "ConfigMap", "retina-dashboards");
  const dashboard = JSON.parse(data["retina.json"]);
  const panels = dashboard.panels.flatMap(({ targets }: { targets: { expr: string }[] }) =>
    targets.map(({ expr }) => expr)
  );
  const variables = dashboard.templating.list.flatMap(({ query }: { query: string }) =>
    /label_values\((\w+)/.exec(query)?.[1] ?? []
  );
  return [...alerts, ...panels, ...variables];
}

/** Names of metrics in a PromQL expression: what is no function, keyword or label. */
function metricsIn(expression: string): string[] {
  const bare = expression.replaceAll(/\{[^}]*\}/g, "").replaceAll(/\[[^\]]*\]/g, "").replaceAll(/by \([^)]*\)/g, "");
  return [...bare.matchAll(/\b([a-z]\w*_\w+)\b(?!\s*\()/g)].map(([, name]) => name);
}

testWith(NEEDS, "the agent needs each of its capabilities, and no other", async (t) => {
  await using stack = new AsyncDisposableStack();
  const lab = stack.use(await createLab());
  const manifests = await render({ operator: { enabled: false }, hubble: { relay: { enabled: false } } });
  const workload = find(manifests, "DaemonSet", "retina-agent");
  const given: string[] = container(workload, "agent").securityContext.capabilities.add;
  const start = (capabilities: readonly string[], ...more: string[]) =>
    startPod({
      ...{ manifests, workload, container: "agent", namespace: lab.node, capabilities },
      program: [...RUN, ...AGENT, `${ROOT}main.ts`],
      fields: { "spec.nodeName": "lab-node" },
      args: (args) => [...args, ...more],
    }, stack);
  for (const more of [["--event-transport=ring"], ["--event-transport=perf"], ["--tc-attach=legacy"]]) {
    await t.step(`enough: ${given.join(", ")} with ${more.join()}`, async () => {
      const agent = await start(given, ...more);
      await until("the agent is ready", async () => /^ok/.test(await http(lab.node, "10093/readyz")), agent);
      assert.match(
        await http(lab.node, "10093/metrics"),
        /^retina_interfaces\{point="endpoint",state="attached"\} 3$/m,
      );
      assert.equal((await agent.stop()).code, 0);
    });
  }
  for (const left of given) {
    await t.step(`not without ${left}`, async () => {
      const agent = await start(given.filter((name) => name !== left));
      const { code, stderr } = await agent.ended;
      assert.equal(code, 1, stderr);
      assert.match(stderr, /EPERM|EACCES/);
    });
  }
}, { timeoutMs: 120_000 });

Deno.test("the dashboard is one that Grafana can read", async () => {
  const dashboard = JSON.parse(await Deno.readTextFile(`${CHART}/dashboards/retina.json`));
  const ids = dashboard.panels.map(({ id }: { id: number }) => id);
  assert.equal(new Set(ids).size, ids.length);
  for (const { gridPos, targets, title } of dashboard.panels) {
    assert.ok(gridPos.x + gridPos.w <= 24 && targets.length > 0, title);
    assert.equal(new Set(targets.map(({ refId }: { refId: string }) => refId)).size, targets.length, title);
  }
});
