/** What the chart gives to the programs is read by the programs' own parsers: the two cannot drift apart. */
import assert from "node:assert/strict";
import { agentCommand } from "../../src/agent/option_table.ts";
import { type AgentOptions, parseOptions as parseAgent } from "../../src/agent/options.ts";
import { type OperatorOptions, parseOptions as parseOperator } from "../../src/operator/options.ts";
import { parseIdentityFile } from "../../src/identity/identity_file.ts";
import { testWith } from "../lab/need.ts";
import {
  CHART,
  container,
  environment,
  find,
  helmBuilt,
  type Manifest,
  NAMESPACE,
  render,
  type Values,
} from "./chart.ts";
import { EVERYTHING, VALUE_SETS } from "./value_sets.ts";

function only<T>(list: readonly T[]): T {
  assert.equal(list.length, 1);
  return list[0];
}

interface Programs {
  readonly manifests: readonly Manifest[];
  readonly agent: AgentOptions;
  readonly operator?: OperatorOptions;
}

/** Renders, and reads arguments and environment as the programs do; Kubernetes' own values are in braces. */
async function programs(values: Values): Promise<Programs> {
  const manifests = await render(values);
  const context = (of: { env?: { name: string; value?: string }[] }) => {
    const env = environment(of);
    return { env: (name: string) => env.get(name), hostname: () => "the-host" };
  };
  const agent = container(only(manifests.filter(({ kind }) => kind === "DaemonSet")), "agent");
  const deployment = manifests.find(({ kind, metadata }) => kind === "Deployment" && /-operator$/.test(metadata.name));
  const operator = deployment && container(deployment, "operator");
  return {
    manifests,
    agent: parseAgent(agent.args, context(agent)),
    ...(operator && { operator: parseOperator(operator.args, context(operator)) }),
  };
}

const ports = (one: { ports: { name: string; containerPort: number }[] }) =>
  Object.fromEntries(one.ports.map(({ name, containerPort }) => [name, containerPort]));

for (const [name, values] of Object.entries(VALUE_SETS)) {
  testWith(
    [helmBuilt],
    `the programs understand what they are given, and listen where they are asked: ${name}`,
    async () => {
      const { manifests, agent, operator } = await programs(values);
      const daemonSet = only(manifests.filter(({ kind }) => kind === "DaemonSet"));
      const pod = container(daemonSet, "agent");
      assert.deepEqual(ports(pod), { hubble: agent.hubblePort, metrics: agent.metricsPort });
      assert.equal(agent.nodeName, "{spec.nodeName}");
      for (const probe of [pod.startupProbe, pod.livenessProbe, pod.readinessProbe]) {
        assert.equal(probe.httpGet.port, "metrics");
        assert.equal(probe.httpGet.host ?? "", agent.metricsAddress);
      }
      assert.deepEqual([pod.livenessProbe.httpGet.path, pod.readinessProbe.httpGet.path], ["/healthz", "/readyz"]);
      if (operator === undefined) {
        assert.deepEqual([agent.operatorAddr, agent.operator], [undefined, undefined]);
        return;
      }
      const deployment = manifests.find(({ metadata, kind }) =>
        kind === "Deployment" && /-operator$/.test(metadata.name)
      )!;
      const { metadata } = deployment;
      assert.deepEqual(ports(container(deployment, "operator")), {
        grpc: operator.grpcPort,
        metrics: operator.debugPort,
      });
      // Agents find the operator by its Service, under a name that its certificate has.
      const service = find(manifests, "Service", metadata.name);
      const port = service["spec"].ports.find((one: { name: string }) => one.name === "grpc").port;
      assert.equal(agent.operatorAddr?.replace(/^https?:\/\//, ""), `${metadata.name}.${NAMESPACE}.svc:${port}`);
      assert.equal(operator.clusterName, agent.clusterName);
      assert.deepEqual([operator.leaderElect, operator.leaseName], [true, metadata.name]);
      assert.deepEqual([operator.identity, operator.leaseNamespace], ["{metadata.name}", "{metadata.namespace}"]);
    },
  );

  testWith([helmBuilt], `mutual TLS, or plain text by its name alone: ${name}`, async () => {
    const { manifests, agent, operator } = await programs(values);
    const plain = (values["tls"] as { mode?: string } | undefined)?.mode === "plaintext";
    const relay = manifests.find(({ kind, metadata }) =>
      kind === "ConfigMap" && metadata.name === "hubble-relay-config"
    );
    const files = {
      certFile: "/etc/retina/tls/tls.crt",
      keyFile: "/etc/retina/tls/tls.key",
      caFile: "/etc/retina/tls/ca.crt",
    };
    const { tlsCertFile: certFile, tlsKeyFile: keyFile, tlsClientCaFile: caFile } = agent;
    assert.deepEqual(
      { certFile, keyFile, caFile },
      plain ? { certFile: undefined, keyFile: undefined, caFile: undefined } : files,
    );
    assert.equal(agent.hubbleSocket, undefined);
    if (operator !== undefined) {
      assert.equal(agent.operatorAddr?.startsWith(plain ? "http://" : "https://"), true);
      const { operatorCertFile, operatorKeyFile, operatorCaFile } = agent;
      const expected = plain ? [undefined, undefined, undefined] : [files.certFile, files.keyFile, files.caFile];
      assert.deepEqual([operatorCertFile, operatorKeyFile, operatorCaFile], expected);
      const { tlsCertFile, tlsKeyFile, tlsClientCaFile } = operator;
      assert.deepEqual([tlsCertFile, tlsKeyFile, tlsClientCaFile], expected);
      assert.equal(agent.operatorServerName, plain ? undefined : new URL(agent.operatorAddr!).hostname);
    }
    if (relay !== undefined) {
      assert.equal(/disable-(client|server)-tls/.test(relay["data"]["config.yaml"]), plain);
      assert.equal(/tls-relay-client-ca-files/.test(relay["data"]["config.yaml"]), !plain);
    }
    const text = JSON.stringify(manifests.filter(({ kind }) => kind !== "Pod"));
    assert.equal(/"http:\/\/|--operator-addr=http:/.test(text), plain && operator !== undefined);
  });
}

testWith([helmBuilt], "values reach the options that they are named after", async () => {
  const { agent, operator } = await programs({
    agent: {
      ...{ podLevel: true, podInterfaces: "^cali", extraInterfaces: ["eth0", "eth1"], tcAttach: "legacy" },
      ...{ eventTransport: "perf", ringBufferSize: 1 << 20, conntrackEntries: 2048, samplingRate: 4 },
      ...{ flowCapacity: 1 << 21, hubblePort: 5244, metricsPort: 5093, metricsAddress: "192.0.2.1" },
      ...{ logLevel: "debug", logFormat: "json", extraArgs: ["--perf-pages=64", "--print"] },
    },
    operator: {
      ...{ grpcPort: 7090, debugPort: 7091, batchInterval: 100, changeLogBytes: 1 << 26, logLevel: "error" },
      ...{ logFormat: "json", debugRemote: true },
    },
    clusterName: "east",
  });
  const { podInterfaces, ...rest } = agent;
  assert.equal(podInterfaces?.source, "^cali");
  const expected: Partial<AgentOptions> = {
    ...{ podLevel: true, extraInterfaces: ["eth0", "eth1"], tcAttach: "legacy", eventTransport: "perf" },
    ...{ ringBufferSize: 1 << 20, conntrackEntries: 2048, samplingRate: 4, flowCapacity: 1 << 21, hubblePort: 5244 },
    ...{ metricsPort: 5093, metricsAddress: "192.0.2.1", logLevel: "debug", logFormat: "json", perfPages: 64 },
    ...{ print: true, clusterName: "east" },
  };
  assert.deepEqual(pick(rest, expected), expected);
  const wanted: Partial<OperatorOptions> = {
    ...{ grpcPort: 7090, debugPort: 7091, batchInterval: 100, changeLogBytes: 1 << 26, logLevel: "error" },
    ...{ logFormat: "json", debugRemote: true, clusterName: "east" },
  };
  assert.deepEqual(pick(operator!, wanted), wanted);
});

function pick<T extends object>(from: T, like: object): Partial<T> {
  return Object.fromEntries(Object.keys(like).map((key) => [key, from[key as keyof T]])) as Partial<T>;
}

testWith([helmBuilt], "the defaults of the values are those of the programs", async () => {
  const { agent, operator } = await programs({});
  const context = { env: () => undefined, hostname: () => "x" };
  const bare = parseAgent([], context), bareOperator = parseOperator([], context);
  const same = <T extends object>(given: T, own: T, but: readonly (keyof T)[]) => {
    for (const key of Object.keys(given) as (keyof T)[]) {
      if (!but.includes(key)) assert.deepEqual(given[key], own[key], String(key));
    }
  };
  const tls = ["tlsCertFile", "tlsKeyFile", "tlsClientCaFile"] as const;
  same(agent, bare, [
    ...["nodeName", "podLevel", "extraInterfaces", "clusterName", "operatorAddr", "operatorServerName"] as const,
    ...["operatorCaFile", "operatorCertFile", "operatorKeyFile", ...tls] as const,
  ]);
  same(operator!, bareOperator, ["identity", "leaseNamespace", "leaderElect", "clusterName", ...tls]);
});

testWith([helmBuilt], "every flag of the agent is a value, an extra argument, or nothing for a pod", async () => {
  /** For replays, laptops and unix sockets; a pod's node name and addresses come from Kubernetes. */
  const notForPods = [
    ...[
      "--replay",
      "--replay-speed",
      "--operator",
      "--kubeconfig",
      "--node-name",
      "--hubble-address",
      "--hubble-socket",
    ],
    ...["--version"],
  ];
  const manifests = await render({ ...EVERYTHING, tls: { mode: "helm" } });
  const { args } = container(find(manifests, "DaemonSet", "retina-agent"), "agent");
  const rendered = args.map((arg: string) => arg.split("=")[0]);
  const { pattern } =
    JSON.parse(Deno.readTextFileSync(`${CHART}/values.schema.json`)).properties.agent.properties.extraArgs.items;
  const extra = agentCommand().options.map(({ long }) => long!)
    .filter((flag) => new RegExp(pattern).test(`${flag}=1`) || new RegExp(pattern).test(flag));
  const flags = agentCommand().options.map(({ long }) => long!);
  assert.deepEqual([...new Set([...rendered, ...extra, ...notForPods])].toSorted(), flags.toSorted());
});

testWith([helmBuilt], "identities of the values are a file that the agent reads", async () => {
  const { manifests, agent } = await programs(EVERYTHING);
  assert.equal(agent.identities, "/etc/retina/identities/identities.yaml");
  const { data } = find(manifests, "ConfigMap", "retina-identities");
  const parsed = parseIdentityFile(data["identities.yaml"]);
  assert.equal([...parsed].length, 3);
});
