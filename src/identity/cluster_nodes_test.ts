import assert from "node:assert/strict";
import { ClusterNodes } from "./cluster_nodes.ts";
import { NodePeers } from "./node_peers.ts";

Deno.test("ClusterNodes chooses one address of the wanted family for each node", () => {
  const nodes = new ClusterNodes();
  nodes.set("fd00::1", "node-1");
  assert.deepEqual(nodes.current(), [{ name: "node-1", address: "fd00::1" }]);
  nodes.set("172.18.0.3", "node-1");
  nodes.set("172.18.0.2", "node-1");
  assert.deepEqual(nodes.current(), [{ name: "node-1", address: "172.18.0.2" }]);
  const six = new ClusterNodes(() => 6);
  six.set("172.18.0.2", "node-1");
  six.set("fd00::1", "node-1");
  assert.deepEqual(six.current(), [{ name: "node-1", address: "fd00::1" }]);
});

Deno.test("ClusterNodes tells of new, moved and lost nodes, and of nothing else", () => {
  const nodes = new ClusterNodes();
  const seen: string[] = [];
  const stop = nodes.subscribe((change) => seen.push(`${change.old?.address ?? "-"} ${change.new?.address ?? "-"}`));
  nodes.set("172.18.0.3", "a");
  nodes.set("172.18.0.3", "a");
  nodes.set("172.18.0.2", "a");
  nodes.set("172.18.0.9", "a");
  nodes.set("172.18.0.2", undefined);
  nodes.set("172.18.0.3", "b");
  nodes.set("172.18.0.9", undefined);
  nodes.set("172.18.0.77", undefined);
  stop();
  nodes.set("172.18.0.3", undefined);
  assert.deepEqual(seen, [
    "- 172.18.0.3",
    "172.18.0.3 172.18.0.2",
    "172.18.0.2 172.18.0.3",
    "172.18.0.3 172.18.0.9",
    "- 172.18.0.3",
    "172.18.0.9 -",
  ]);
  assert.deepEqual(nodes.current(), []);
});

Deno.test("NodePeers announces nodes with port, brackets, cluster and TLS name", () => {
  const nodes = new ClusterNodes();
  nodes.set("172.18.0.2", "node-1");
  nodes.set("fd00::2", "node-2");
  const peers = new NodePeers(nodes, { nodeName: "node-1", port: () => 4244 });
  assert.deepEqual(peers.current(undefined), [
    { name: "node-1", address: "172.18.0.2:4244" },
    { name: "node-2", address: "[fd00::2]:4244" },
  ]);
  const named = new NodePeers(nodes, {
    nodeName: "node-3",
    port: () => 1,
    cluster: "east",
    tlsServerName: (node) => `${node}.east`,
  });
  assert.deepEqual(named.current("::ffff:10.0.0.3").at(-1), {
    name: "east/node-3",
    address: "10.0.0.3:1",
    tlsServerName: "node-3.east",
  });
});

Deno.test("NodePeers tells changes in the same form", () => {
  const nodes = new ClusterNodes();
  const peers = new NodePeers(nodes, { nodeName: "me", port: () => 4244 });
  const seen: unknown[] = [];
  peers.subscribe((change) => seen.push(change));
  nodes.set("172.18.0.2", "node-1");
  nodes.set("172.18.0.2", undefined);
  const announced = { name: "node-1", address: "172.18.0.2:4244" };
  assert.deepEqual(seen, [{ new: announced }, { old: announced }]);
});
