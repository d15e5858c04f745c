import assert from "node:assert/strict";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import {
  GetIpCacheSnapshotResponseSchema,
  IpCacheBatchSchema,
  IpCacheRequestSchema,
} from "../../proto/gen/ipcache/ipcache_pb.ts";
import { streamMessages } from "../../src/identity/grpc_stream.ts";
import { ClusterNodes } from "../../src/identity/cluster_nodes.ts";
import { IpCache } from "../../src/identity/ip_cache.ts";
import { IdentityTable } from "../../src/identity/table.ts";
import { EmbeddedOperator } from "../../src/operator/embedded.ts";
import { meaningOf, meanings, sorted } from "./meaning.ts";
import { truth } from "./truth.ts";
import { withCluster } from "./cluster.ts";
import { withCertificates } from "../interop/certificates.ts";
import { eventually } from "./eventually.ts";
import { changed, namespace, node, owner, pod, service, slice } from "./objects.ts";

Deno.test("an agent learns the cluster and follows it", async () => {
  await withCluster(async (cluster) => {
    cluster.api.set(
      node("node-1", ["172.18.0.2"], ["10.1.0.0/24"]),
      pod("shop", "a", ["10.1.0.2"], { labels: { app: "web" } }),
    );
    const operator = await cluster.operator();
    const agent = cluster.agent(`127.0.0.1:${operator.grpcPort}`);
    await cluster.settled();
    assert.equal(agent.cache.synced, true);
    assert.deepEqual(agent.cache.get("10.1.0.2")?.labels, ["k8s:app=web", "k8s:io.kubernetes.pod.namespace=shop"]);
    assert.deepEqual(agent.nodes.current(), [{ name: "node-1", address: "172.18.0.2" }]);
    cluster.api.set(pod("shop", "b", ["10.1.0.3", "fd00:1::3"]), node("node-2", ["172.18.0.3"]));
    cluster.api.delete("Pod shop/a");
    await cluster.settled();
    assert.equal(agent.cache.get("10.1.0.2")?.numeric, 5);
    assert.deepEqual(agent.nodes.current().map(({ name }) => name), ["node-1", "node-2"]);
  });
});

Deno.test("names survive an operator's restart, and stale ones do not", async () => {
  await withCluster(async (cluster) => {
    cluster.api.set(pod("shop", "a", ["10.1.0.2"]), pod("shop", "b", ["10.1.0.3"]));
    const first = await cluster.operator();
    const port = first.grpcPort;
    const agent = cluster.agent(`127.0.0.1:${port}`);
    await cluster.settled();
    const deleted: string[] = [];
    agent.cache.subscribe(({ kind, prefix }) => void (kind === "delete" && deleted.push(prefix)));
    await cluster.stopOperator(first);
    await eventually(() => assert.equal(agent.source.status().connected, false));
    assert.equal(agent.cache.get("10.1.0.2")?.pod, "a");
    cluster.api.delete("Pod shop/b");
    cluster.api.set(pod("shop", "c", ["10.1.0.4"]));
    await cluster.operator(["--grpc-port", String(port)]);
    await cluster.settled();
    assert.deepEqual(deleted, ["10.1.0.3"]);
    assert.equal(agent.source.status().swept, 1);
  });
});

Deno.test("an agent that was cut off resumes without a snapshot", async () => {
  await withCluster(async (cluster) => {
    cluster.api.set(pod("shop", "a", ["10.1.0.2"]));
    const operator = await cluster.operator();
    const agent = cluster.agent(`127.0.0.1:${operator.grpcPort}`);
    await cluster.settled();
    await agent.source.stop();
    cluster.api.set(pod("shop", "b", ["10.1.0.3"]));
    await eventually(() => assert.ok(operator.state.entries.has("10.1.0.3")));
    const stats = async () =>
      (await (await fetch(`http://127.0.0.1:${operator.debugPort}/debug/stats`)).json()).agents as Record<
        string,
        number
      >;
    const { epoch, revision } = agent.source.status();
    const call = async function* (method: string, request: Uint8Array) {
      const url = `http://127.0.0.1:${operator.grpcPort}`;
      const { signal } = new AbortController();
      const options = { url, path: `/ipcache.IpCache/${method}`, request, tls: {}, connectMs: 1000, pingMs: 1000 };
      yield* streamMessages({ ...options, maxMessage: 1 << 20, signal });
    };
    const request = create(IpCacheRequestSchema, { nodeName: "x", protocolVersion: 1, epoch, revision });
    const updates: string[] = [];
    for await (const message of call("StreamIpCacheUpdates", toBinary(IpCacheRequestSchema, request))) {
      const batch = fromBinary(IpCacheBatchSchema, message);
      updates.push(...batch.updates.map(({ updateType, podName }) => `${updateType} ${podName}`));
      if (batch.updates.some(({ updateType }) => updateType === 2)) break;
    }
    assert.deepEqual(updates, ["0 b", "2 "]);
    assert.equal((await stats())["resumes"], 1);
    for await (const message of call("GetIpCacheSnapshot", new Uint8Array())) {
      const whole = fromBinary(GetIpCacheSnapshotResponseSchema, message);
      assert.deepEqual(whole.updates.map(({ podName }) => podName).sort(), ["a", "b"]);
      assert.equal(whole.epoch, epoch);
    }
    cluster.agents.length = 0;
  });
});

Deno.test("SYNC_COMPLETE waits for the operator's own first listing", async () => {
  await withCluster(async (cluster) => {
    cluster.api.set(pod("shop", "a", ["10.1.0.2"]));
    cluster.api.forbidden.add("Pod");
    const operator = await cluster.operator();
    const agent = cluster.agent(`127.0.0.1:${operator.grpcPort}`);
    await eventually(() => assert.ok(cluster.messages.some((text) => text.includes("Pod is forbidden"))));
    const ready = await fetch(`http://127.0.0.1:${operator.debugPort}/readyz`);
    assert.match(await ready.text(), /Pod is not listed yet/);
    assert.equal(ready.status, 503);
    assert.equal(agent.cache.synced, false);
    cluster.api.forbidden.clear();
    await cluster.settled();
    assert.equal(agent.cache.synced, true);
  });
});

Deno.test("of two replicas one serves, and agents follow the leader", async () => {
  await withCluster(async (cluster) => {
    cluster.api.set(pod("shop", "a", ["10.1.0.2"]));
    const tuning = { lease: { duration: 1500, deadline: 1000, retry: 100 } };
    const first = await cluster.operator(["--leader-elect", "--identity", "one"], tuning);
    await eventually(() => assert.ok(first.serving));
    const second = await cluster.operator(["--leader-elect", "--identity", "two"], tuning);
    const port = second.grpcPort;
    const waiting = cluster.agent(`127.0.0.1:${port}`);
    const agent = cluster.agent(`127.0.0.1:${first.grpcPort}`);
    await cluster.settled([agent]);
    await eventually(() => assert.match(waiting.source.status().lastError, /does not lead; one does/));
    assert.equal(second.serving, false);
    const ready = await fetch(`http://127.0.0.1:${second.debugPort}/readyz`);
    assert.equal(ready.status, 200);
    assert.match(await ready.text(), /standing by for one/);
    await cluster.stopOperator(first);
    // The lease was given back: no need to wait until it runs out.
    await cluster.settled([waiting]);
    assert.equal(second.serving, true);
    assert.equal(agent.cache.get("10.1.0.2")?.pod, "a");
  });
});

Deno.test("the operator asks agents for a certificate", async () => {
  await withCertificates((certificates) =>
    withCluster(async (cluster) => {
      const at = (file: string) => `${certificates.folder}/${file}`;
      cluster.api.set(pod("shop", "a", ["10.1.0.2"]));
      const tls = [
        "--tls-cert-file",
        at("server.crt"),
        "--tls-key-file",
        at("server.key"),
        "--tls-client-ca-file",
        at("ca.crt"),
      ];
      const operator = await cluster.operator(tls);
      const address = `https://localhost:${operator.grpcPort}`;
      const good = cluster.agent(address, {
        caFile: at("ca.crt"),
        certFile: at("client.crt"),
        keyFile: at("client.key"),
      });
      const bare = cluster.agent(address, { caFile: at("ca.crt") });
      const plain = cluster.agent(`127.0.0.1:${operator.grpcPort}`);
      await cluster.settled([good]);
      for (const { source } of [bare, plain]) {
        await eventually(() => assert.notEqual(source.status().lastError, ""));
        assert.equal(source.status().connected, false);
      }
    })
  );
});

Deno.test("an operator that cannot be reached is named, and is tried again", async () => {
  await withCluster(async (cluster) => {
    const { source, messages } = cluster.agent("127.0.0.1:1");
    await eventually(() => assert.ok(source.status().attempts >= 2, String(source.status().lastError)));
    assert.match(messages.join("\n"), /No names from the operator at 127\.0\.0\.1:1: .*; those that are known stay/);
  });
});

Deno.test("an operator whose address has no such name is named", async () => {
  await withCluster(async (cluster) => {
    // An empty label is refused without asking a name server, which may not be there. A look-up that is under way cannot be
    // cancelled, so there is only one.
    const { messages } = cluster.agent("operator..invalid:9090", undefined, 60_000);
    await eventually(() =>
      assert.match(messages.join("\n"), /operator\.\.invalid:9090: .*ENOTFOUND.*those that are known stay/)
    );
  });
});

Deno.test("scripted histories lead to the expected names", async () => {
  await withCluster(async (cluster) => {
    const { api } = cluster;
    const operator = await cluster.operator();
    const { cache } = cluster.agent(`127.0.0.1:${operator.grpcPort}`);
    const at = (address: string) => {
      const identity = cache.get(address);
      return identity && meaningOf(identity);
    };
    api.set(
      namespace("shop"),
      node("node-1", ["172.18.0.2"], ["10.1.0.0/24"]),
      service("default", "kubernetes", ["10.96.0.1"]),
    );
    api.set(slice("default", "kubernetes", "kubernetes", [{ ip: "172.18.0.2" }]));
    await cluster.settled();
    assert.deepEqual([at("10.96.0.1")?.reserved, at("172.18.0.2")?.reserved], [7, 7]);

    // Rolling update: the new ReplicaSet's pod replaces the old one; both belong to the Deployment.
    const deployment = owner("Deployment", "shop", "web");
    const [one, two] = ["web-1", "web-2"].map((name) => owner("ReplicaSet", "shop", name, deployment));
    const old = pod("shop", "web-1-a", ["10.1.0.2"], { labels: { app: "web", "pod-template-hash": "1" }, owner: one });
    const next = pod("shop", "web-2-a", ["10.1.0.3"], { labels: { app: "web", "pod-template-hash": "2" }, owner: two });
    api.set(one, old);
    await cluster.settled();
    const number = cache.get("10.1.0.2")!.numeric;
    api.set(two, next, changed(old, { metadata: { deletionTimestamp: "2026-01-01T00:00:00Z" } }));
    await cluster.settled();
    assert.equal(at("10.1.0.3")?.workload, "Deployment/web");
    assert.equal(cache.get("10.1.0.3")!.numeric, number);

    // IP reuse while the old pod's object is still there, then its delete must not take the new pod's name.
    api.set(pod("shop", "heir", ["10.1.0.2"], { labels: { app: "heir" } }));
    await cluster.settled();
    assert.equal(at("10.1.0.2")?.name, "shop/heir");
    api.delete("Pod shop/web-1-a");
    await cluster.settled();
    assert.equal(at("10.1.0.2")?.name, "shop/heir");

    // A completed pod gives its address up.
    const job = pod("shop", "job", ["10.1.0.9"]);
    api.set(job);
    await cluster.settled();
    api.set(changed(job, { status: { phase: "Succeeded" } }));
    await cluster.settled();
    assert.equal(at("10.1.0.9")?.name, "");

    // A pod in the node's network does not take the node's name.
    api.set(pod("kube-system", "proxy", ["172.18.0.2"], { hostNetwork: true }));
    await cluster.settled();
    assert.equal(at("172.18.0.2")?.name, "node-1");

    // A service of two families, and its backend.
    api.set(
      service("shop", "web", ["10.96.0.7", "fd00:96::7"], { ingress: ["192.0.2.7"], externalIPs: ["192.0.2.8"] }),
    );
    api.set(slice("shop", "web", "web-x", [{ ip: "10.1.0.3", pod: "web-2-a" }]));
    await cluster.settled();
    for (const ip of ["10.96.0.7", "fd00:96::7", "192.0.2.7", "192.0.2.8"]) assert.equal(at(ip)?.name, "shop/web", ip);
    assert.equal(at("10.1.0.3")?.service, "web");
    api.set(service("shop", "web", ["10.96.0.7", "fd00:96::7"]));
    await cluster.settled();
    assert.equal(at("192.0.2.7"), undefined);

    // A node replaced by another with the same address.
    api.delete("Node node-1");
    api.set(node("node-9", ["172.18.0.2"], ["10.1.0.0/24"]));
    await cluster.settled();
    assert.equal(at("172.18.0.2")?.name, "node-9");

    // A relist after a gap.
    api.dropWatches();
    api.delete("Pod shop/heir", "Service shop/web");
    api.compact();
    await cluster.settled();
    assert.equal(at("10.96.0.7"), undefined);

    // 410 in mid-watch.
    await eventually(() => assert.equal(api.watches, 7));
    api.set(pod("shop", "late", ["10.1.0.77"]));
    api.expireWatches();
    await cluster.settled();
  });
});

Deno.test("an agent with the operator embedded learns the same", async () => {
  await withCluster(async (cluster) => {
    const { api, kubeconfig } = cluster;
    api.set(node("node-1", ["172.18.0.2"]), pod("shop", "a", ["10.1.0.2"]), service("shop", "web", ["10.96.0.7"]));
    const cache = new IpCache(new IdentityTable());
    const nodes = new ClusterNodes();
    const embedded = await EmbeddedOperator.create({ kubeconfig, cluster: "", cache, nodes, report: () => {} });
    const follows = () =>
      eventually(() => assert.deepEqual(meanings(cache.entries()), sorted(truth([...api.world.values()]))));
    try {
      embedded.start();
      await eventually(() => assert.ok(cache.synced));
      await follows();
      api.set(pod("shop", "b", ["10.1.0.3"]));
      api.delete("Pod shop/a");
      await follows();
      assert.deepEqual(nodes.current(), [{ name: "node-1", address: "172.18.0.2" }]);
      assert.equal(embedded.status().pods, 1);
    } finally {
      await embedded.stop();
    }
  });
});
