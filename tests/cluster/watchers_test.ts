import assert from "node:assert/strict";
import { findCluster } from "../../src/operator/kube/config.ts";
import type { ReflectorLimits } from "../../src/operator/kube/reflector.ts";
import { ClusterWatchers } from "../../src/operator/kube/watchers.ts";
import { ClusterState } from "../../src/operator/state/cluster_state.ts";
import { ApiServer, type ApiServerOptions } from "./api_server.ts";
import { withCertificates } from "../interop/certificates.ts";
import { eventually } from "./eventually.ts";
import { meanings, sorted } from "./meaning.ts";
import { changed, namespace, node, pod, service } from "./objects.ts";
import { truth } from "./truth.ts";

interface Setup {
  readonly server: ApiServer;
  readonly state: ClusterState;
  readonly watchers: ClusterWatchers;
  readonly messages: string[];
  readonly folder: string;
  /** The state comes to equal what the server holds. */
  readonly follows: () => Promise<void>;
}

async function withWatchers(
  options: ApiServerOptions & {
    user?: Record<string, unknown>;
    limits?: Partial<ReflectorLimits>;
    fill?: (server: ApiServer) => void;
  },
  test: (setup: Setup) => Promise<void>,
): Promise<void> {
  const folder = await Deno.makeTempDir();
  const server = await ApiServer.start(options);
  options.fill?.(server);
  const state = new ClusterState("");
  const messages: string[] = [];
  const api = await findCluster(await server.writeKubeconfig(`${folder}/kubeconfig`, options.user));
  const watchers = new ClusterWatchers({
    api,
    state,
    onChange: () => {},
    onSynced: () => {},
    report: (_level, message) => void messages.push(message),
    ...(options.limits && { limits: options.limits }),
  });
  const follows = () =>
    eventually(() => {
      state.takeChanges();
      assert.ok(watchers.synced, messages.at(-1) ?? "not synced");
      assert.deepEqual(meanings(state.entries), sorted(truth([...server.world.values()])));
    });
  try {
    watchers.start();
    await test({ server, state, watchers, messages, folder, follows });
  } finally {
    await watchers.stop();
    await server.stop();
    await Deno.remove(folder, { recursive: true });
  }
}

function fill(server: ApiServer): void {
  server.set(namespace("shop", { team: "a" }), node("node-1", ["172.18.0.2"], ["10.1.0.0/24"]));
  for (let i = 0; i < 25; i++) server.set(pod("shop", `p${i}`, [`10.1.0.${i + 2}`], { labels: { app: "x" } }));
}

Deno.test("ClusterWatchers list in parts and then follow", async () => {
  await withWatchers({ fill, limits: { pageSize: 10 } }, async ({ server, follows }) => {
    await follows();
    assert.equal(server.counts.get("list Pod"), 1);
    assert.equal(server.counts.get("continue Pod"), 2);
    server.set(pod("shop", "late", ["10.1.0.99"]), service("shop", "web", ["10.96.0.9"]));
    server.delete("Pod shop/p3");
    await follows();
    assert.equal(server.counts.get("list Pod"), 1);
  });
});

Deno.test("ClusterWatchers resume a dropped watch from where it was", async () => {
  await withWatchers({ fill }, async ({ server, follows, state }) => {
    await follows();
    await eventually(() => assert.equal(server.watches, 7));
    server.dropWatches();
    server.delete("Pod shop/p1");
    server.set(pod("shop", "p2", ["10.1.0.200"]));
    await follows();
    assert.equal(state.entries.has("10.1.0.3"), false);
    assert.equal(server.counts.get("list Pod"), 1);
  });
});

Deno.test("ClusterWatchers list again after 410 and delete what vanished in the gap", async () => {
  await withWatchers({ fill }, async ({ server, follows }) => {
    await follows();
    await eventually(() => assert.equal(server.watches, 7));
    server.dropWatches();
    server.delete("Pod shop/p1", "Pod shop/p2");
    server.compact();
    await follows();
    assert.ok(server.counts.get("list Pod")! >= 2);
  });
});

Deno.test("ClusterWatchers survive 410 in mid-watch and in mid-list", async () => {
  await withWatchers({ fill, limits: { pageSize: 3 } }, async ({ server, follows }) => {
    await follows();
    await eventually(() => assert.equal(server.watches, 7));
    server.delete("Pod shop/p1");
    server.delay = 20;
    server.expireWatches();
    // While the list is going on its tokens expire.
    await eventually(() => assert.ok((server.counts.get("continue Pod") ?? 0) > 9));
    server.compact();
    server.delete("Pod shop/p20");
    server.delay = 0;
    const parts = server.counts.get("continue Pod");
    await follows();
    // The list that could not be finished in parts was asked for whole.
    assert.ok(server.counts.get("continue Pod")! <= parts! + 1, `${server.counts.get("continue Pod")} after ${parts}`);
  });
});

Deno.test("ClusterWatchers keep their place by bookmarks", async () => {
  await withWatchers({ fill }, async ({ server, follows, watchers }) => {
    await follows();
    await eventually(() => assert.equal(server.watches, 7));
    // Other kinds move on; a bookmark says so to the watch of pods, and the past can go.
    for (let i = 0; i < 5; i++) server.set(namespace("other", { n: String(i) }));
    server.bookmark();
    const version = watchers.status().find(({ kind }) => kind === "Namespace")!.resourceVersion;
    await eventually(() => {
      const pods = watchers.status().find(({ kind }) => kind === "Pod")!;
      assert.ok(
        Number(pods.resourceVersion) >= Number(version) && Number(pods.resourceVersion) > 130,
        pods.resourceVersion,
      );
    });
    server.dropWatches();
    await follows();
    assert.equal(server.counts.get("list Pod"), 1);
  });
});

Deno.test("ClusterWatchers begin a silent watch again", async () => {
  await withWatchers({ fill, limits: { silenceMs: 100 } }, async ({ server, follows }) => {
    await follows();
    await eventually(() => assert.ok(server.counts.get("watch Pod")! >= 2));
    assert.equal(server.counts.get("list Pod"), 1);
    server.set(pod("shop", "late", ["10.1.0.99"]));
    await follows();
  });
});

Deno.test("ClusterWatchers wait for a server that is down, slow, or answers HTML", async () => {
  await withWatchers({ fill, limits: { listMs: 300 } }, async ({ server, follows, messages }) => {
    await follows();
    await eventually(() => assert.equal(server.watches, 7));
    const port = await server.pause();
    server.delete("Pod shop/p5");
    await eventually(() =>
      assert.ok(messages.some((text) => /Cannot read \/api\/v1\/pods from http/.test(text)), messages.join("\n"))
    );
    server.html = true;
    await server.resume(port);
    await eventually(() =>
      assert.ok(messages.some((text) => /answered with text\/html/.test(text)), messages.join("\n"))
    );
    server.html = false;
    server.delay = 100;
    await follows();
  });
});

Deno.test("ClusterWatchers do without what is optional and forbidden", async () => {
  const forbid = (server: ApiServer) => {
    fill(server);
    server.forbidden.add("ReplicaSet").add("Job").add("EndpointSlice");
  };
  await withWatchers({ fill: forbid }, async ({ follows, messages }) => {
    await follows();
    assert.ok(messages.some((text) => text.includes("ReplicaSet is forbidden")), messages.join("\n"));
  });
});

Deno.test("ClusterWatchers are not synced without what they cannot do without", async () => {
  const forbid = (server: ApiServer) => {
    fill(server);
    server.forbidden.add("Pod");
  };
  await withWatchers({ fill: forbid }, async ({ server, watchers, messages, follows }) => {
    await eventually(() => assert.ok(messages.some((text) => text.includes("Pod is forbidden"))));
    assert.equal(watchers.synced, false);
    server.forbidden.clear();
    await follows();
  });
});

Deno.test("ClusterWatchers read a bearer token again when it has expired", async () => {
  const folder = await Deno.makeTempDir();
  await Deno.writeTextFile(`${folder}/token`, "first");
  const user = { "auth-provider": { name: "tokenFile", config: { tokenFile: `${folder}/token` } } };
  const start = (server: ApiServer) => {
    fill(server);
    server.token = "first";
  };
  await withWatchers({ fill: start, user }, async ({ server, follows, messages }) => {
    await follows();
    await eventually(() => assert.equal(server.watches, 7));
    server.token = "second";
    server.dropWatches();
    await eventually(() => assert.ok(messages.some((text) => text.includes("Unauthorized")), messages.join("\n")));
    await Deno.writeTextFile(`${folder}/token`, "second");
    server.set(pod("shop", "late", ["10.1.0.99"]));
    await follows();
  });
  await Deno.remove(folder, { recursive: true });
});

Deno.test("ClusterWatchers speak TLS with a client certificate", async () => {
  await withCertificates(async (certificates) => {
    const at = (file: string) => `${certificates.folder}/${file}`;
    const user = { "client-certificate": at("client.crt"), "client-key": at("client.key") };
    await withWatchers({ fill, certificates, user }, ({ follows }) => follows());
    await withWatchers({ fill, certificates }, async ({ messages, watchers }) => {
      await eventually(() => assert.ok(messages.some((text) => text.includes("Unauthorized")), messages.join("\n")));
      assert.equal(watchers.synced, false);
    });
  });
});

Deno.test("ClusterWatchers go on after malformed objects and events", async () => {
  await withWatchers({ fill }, async ({ server, state, follows }) => {
    await follows();
    await eventually(() => assert.equal(server.watches, 7));
    const broken = pod("shop", "broken", []);
    const bad = [
      changed(broken, { status: { podIPs: [{ ip: "10.1.0.999" }, { ip: 7 }, null, { ip: "10.1.0.77" }] } }),
      { ...broken, status: undefined },
      { kind: "Pod", metadata: { name: "homeless", uid: "u" } },
      {
        kind: "Pod",
        metadata: { name: "labels", namespace: "shop", uid: "v", labels: { a: "x".repeat(63_000), b: 7, c: "ok" } },
      },
      { kind: "Pod", metadata: null },
      [],
      null,
    ];
    for (const object of bad) server.sendRaw("Pod", JSON.stringify({ type: "ADDED", object }) + "\n");
    await eventually(() => assert.ok(state.stats().malformed >= 6, String(state.stats().malformed)));
    // An event that is no JSON at all: what it said is unknown, so everything is listed again.
    server.sendRaw("Pod", "<html>\n");
    await eventually(() => assert.equal(server.counts.get("list Pod"), 2));
    await follows();
  });
});
