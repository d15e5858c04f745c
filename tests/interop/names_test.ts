/** The whole chain: API server, operator, two agents, pods as namespaces, and the unmodified Hubble CLI. */
import assert from "node:assert/strict";
import { OPERATOR } from "../../scripts/permissions.ts";
import { toolPath } from "../../scripts/tools.ts";
import { type ApiObject, namespace, node, owner, pod, service, slice } from "../cluster/objects.ts";
import { startAgent } from "../lab/agent.ts";
import { createLab } from "../lab/lab.ts";
import type { Namespace } from "../lab/namespace.ts";
import { ebpf, lab as needsLab, testWith } from "../lab/need.ts";
import { ping, sendUdp, serve } from "../lab/traffic.ts";
import { cli, CLI_ENV, hubble } from "./hubble.ts";

const ROOT = new URL("../../", import.meta.url).pathname;
const CLUSTER_IP = "10.96.0.7";

/** Lines of `hubble observe` once there is one that matches, at most thirty seconds. */
async function linesWith(at: Namespace, pattern: RegExp, ...args: string[]): Promise<string[]> {
  const deadline = performance.now() + 30_000;
  for (;;) {
    const { stdout } = await hubble(at, ["observe", "--all", "-o", "compact", ...args]);
    const lines = stdout.split("\n").filter((line) => line !== "");
    if (lines.some((line) => pattern.test(line))) return lines;
    assert.ok(performance.now() < deadline, `No line matches ${pattern}:\n${stdout}`);
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

testWith([needsLab, ebpf, cli], "hubble observe shows what the cluster calls the ends of a flow", async (t) => {
  const folder = await Deno.makeTempDir();
  await using lab = await createLab();
  const [a, b] = lab.pods;
  const { namespace: outside, ipv4: outsideAddress, ipv6: world } = lab.client;
  const deployment = owner("Deployment", "shop", "b");
  const replicaSet = owner("ReplicaSet", "shop", "b-5d4f", deployment);
  const labels = { app: "b", "pod-template-hash": "5d4f" };
  const objects: ApiObject[] = [
    namespace("shop"),
    node("lab-node", [lab.nodeAddresses.outside.ipv4], ["10.244.0.0/24"]),
    node("lab-client", [outsideAddress]),
    // The host outside runs the API server.
    service("default", "kubernetes", ["10.96.0.1"]),
    slice("default", "kubernetes", "kubernetes", [{ ip: outsideAddress }]),
    replicaSet,
    pod("shop", "a", [a.ipv4, a.ipv6], { labels: { app: "a" } }),
    pod("shop", "b-5d4f-x", [b.ipv4, b.ipv6], { labels, owner: replicaSet }),
    service("shop", "b", [CLUSTER_IP]),
    slice("shop", "b", "b-1", [{ ip: b.ipv4, pod: "b-5d4f-x" }]),
  ];
  const write = () => Deno.writeTextFile(`${folder}/world.json`, JSON.stringify(objects));
  await write();
  await using api = lab.node.startDeno(["-A", `${ROOT}tests/cluster/serve.ts`, folder]);
  await api.waitForLine((line) => line === "ready");
  await using _operator = lab.node.startDeno([
    ...OPERATOR,
    `${ROOT}operator.ts`,
    "--kubeconfig",
    `${folder}/kubeconfig`,
  ]);
  await using _first = await startAgent(lab, { args: ["--operator-addr", "127.0.0.1:9090"] });
  await using _second = await startAgent(lab, {
    namespace: outside,
    args: ["--operator-addr", `${lab.nodeAddresses.outside.ipv4}:9090`, "--node-name", "lab-client"],
  });
  await using _server = await serve(b.namespace);

  await t.step("pods by name, label and number, of both families", async () => {
    await sendUdp(a.namespace, { address: b.ipv4, count: 2 });
    await ping(a.namespace, b.ipv6, 1);
    const args = ["--pod", "shop/a", "--to-label", "app=b"];
    const lines = await linesWith(lab.node, /ICMPv6/, ...args);
    for (const line of lines) assert.match(line, / shop\/a(:\d+)? \(ID:\d+\) -> shop\/b-5d4f-x(:\d+)? \(ID:\d+\) /);
    assert.ok(lines.some((line) => / shop\/b-5d4f-x:7 .*\(UDP\)/.test(line)), lines.join("\n"));
  });

  await t.step("a pod's workload, labels and service", async () => {
    const { stdout } = await hubble(lab.node, ["observe", "--all", "-o", "json", "--to-workload", "Deployment/b"]);
    const { flow } = JSON.parse(stdout.split("\n")[0]);
    assert.deepEqual(flow.destination.workloads, [{ name: "b", kind: "Deployment" }]);
    assert.deepEqual(flow.destination.labels, ["k8s:app=b", "k8s:io.kubernetes.pod.namespace=shop"]);
    assert.deepEqual(flow.destination_service, { name: "b", namespace: "shop" });
    assert.equal(flow.node_name, "lab-node");
  });

  await t.step("a service, the host, the API server and the world", async () => {
    await sendUdp(a.namespace, { address: CLUSTER_IP, count: 1, reply: false, sourcePort: 41_100 });
    await linesWith(lab.node, / shop\/a:41100 \(ID:\d+\) -> shop\/b:7 \(ID:\d+\) /);
    await ping(a.namespace, lab.nodeAddresses.pods.ipv4);
    await linesWith(lab.node, / shop\/a \(ID:\d+\) -> 10\.244\.0\.1 \(host\) /);
    await ping(a.namespace, outsideAddress);
    await linesWith(lab.node, / shop\/a \(ID:\d+\) -> \S+ \(kube-apiserver\) /);
    await ping(a.namespace, world);
    await linesWith(lab.node, / shop\/a \(ID:\d+\) -> \[?2001:db8::2\]? \(world\) /);
  });

  await t.step("the other agent knows the same pods, and its own node as the host", async () => {
    await linesWith(outside, / shop\/a \(ID:\d+\) -> 192\.0\.2\.2 \(host\) /);
    await using watch = outside.start(toolPath("hubble"), ["watch", "peers", "--server", "127.0.0.1:4244"], {
      env: CLI_ENV,
    });
    for (const peer of ["192.0.2.1:4244 lab-node", "192.0.2.2:4244 lab-client"]) {
      await watch.waitForLine((line) => line.includes("PEER_ADDED") && line.includes(peer));
    }
  });

  await t.step("an address that another pod took over, without changing flows of the past", async () => {
    objects.splice(objects.findIndex(({ metadata }) => metadata.name === "b-5d4f-x"), 1, pod("shop", "heir", [b.ipv4]));
    await write();
    const deadline = performance.now() + 30_000;
    for (let port = 41_200;; port++) {
      await sendUdp(a.namespace, { address: b.ipv4, count: 1, sourcePort: port });
      const { stdout } = await hubble(lab.node, ["observe", "--all", "-o", "compact", "--to-pod", "shop/heir"]);
      if (stdout.includes(`shop/a:${port} `)) break;
      assert.ok(performance.now() < deadline, stdout);
    }
    await linesWith(lab.node, /shop\/b-5d4f-x/, "--to-pod", "shop/b-5d4f-x");
  });
  await Deno.remove(folder, { recursive: true });
}, { timeoutMs: 120_000 });
