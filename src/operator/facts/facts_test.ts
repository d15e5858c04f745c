import assert from "node:assert/strict";
import fc from "fast-check";
import { asObject } from "./json.ts";
import { nodeFacts } from "./node.ts";
import { podFacts } from "./pod.ts";
import { serviceFacts } from "./service.ts";
import { sliceFacts } from "./slice.ts";

const metadata = { name: "a", namespace: "ns", uid: "u" };

/** Facts, and what was reported. */
function read<F>(
  reader: (from: Record<string, unknown>, onBad: (text: string) => void) => F,
  from: Record<string, unknown>,
) {
  const bad: string[] = [];
  return { facts: reader(from, (text) => bad.push(text)), bad };
}

Deno.test("podFacts() takes addresses of both families and leaves out what is none", () => {
  const podIPs = [
    { ip: "10.0.0.1" },
    { ip: "FD00::1" },
    { ip: "10.0.0.1" },
    { ip: "10.0.0.300" },
    { ip: "0.0.0.0" },
    {},
    null,
    7,
  ];
  const { facts, bad } = read(podFacts, { metadata, status: { podIPs } });
  assert.deepEqual(facts?.addresses, ["10.0.0.1", "fd00::1"]);
  assert.deepEqual(bad, ["10.0.0.300", "0.0.0.0"]);
  assert.deepEqual(read(podFacts, { metadata, status: { podIP: "10.0.0.9" } }).facts?.addresses, ["10.0.0.9"]);
});

Deno.test("podFacts() gives no addresses to pods that own none", () => {
  const status = { podIP: "10.0.0.1" };
  for (const phase of ["Succeeded", "Failed"]) {
    assert.deepEqual(read(podFacts, { metadata, status: { ...status, phase } }).facts?.addresses, []);
  }
  assert.deepEqual(read(podFacts, { metadata, spec: { hostNetwork: true }, status }).facts?.addresses, []);
  assert.deepEqual(read(podFacts, { metadata }).facts?.addresses, []);
});

Deno.test("podFacts() keeps the labels that say what a pod is", () => {
  const labels = {
    b: "2",
    a: "1",
    "pod-template-hash": "x",
    big: "x".repeat(63_000),
    number: 7,
    ["k".repeat(400)]: "v",
  };
  const { facts, bad } = read(podFacts, { metadata: { ...metadata, labels } });
  assert.deepEqual(facts?.labels, ["a=1", "b=2"]);
  assert.equal(facts?.templateHash, "x");
  assert.equal(bad.length, 3);
  const many = Object.fromEntries(Array.from({ length: 500 }, (_, i) => [`key-${i}`, "x".repeat(50)]));
  const total = read(podFacts, { metadata: { ...metadata, labels: many } }).facts!.labels.join("").length;
  assert.ok(total > 7000 && total < 8192, String(total));
});

Deno.test("podFacts() prefers the owner that controls", () => {
  const ownerReferences = [{ uid: "1", kind: "A", name: "a" }, { uid: "2", kind: "B", name: "b", controller: true }];
  assert.equal(read(podFacts, { metadata: { ...metadata, ownerReferences } }).facts?.owner?.kind, "B");
  assert.equal(read(podFacts, { metadata: { ...metadata, ownerReferences: [{ uid: "1" }] } }).facts?.owner, undefined);
});

Deno.test("serviceFacts() takes every address a service is reached at, once", () => {
  const spec = { clusterIP: "10.96.0.1", clusterIPs: ["10.96.0.1", "fd00:96::1"], externalIPs: ["192.0.2.1"] };
  const status = { loadBalancer: { ingress: [{ ip: "192.0.2.2" }, { hostname: "lb.example" }] } };
  const { facts, bad } = read(serviceFacts, { metadata, spec, status });
  assert.deepEqual(facts?.addresses, ["10.96.0.1", "fd00:96::1", "192.0.2.1", "192.0.2.2"]);
  assert.deepEqual([facts?.headless, bad], [false, []]);
  const headless = read(serviceFacts, { metadata, spec: { clusterIP: "None", clusterIPs: ["None"] } });
  assert.deepEqual([headless.facts?.headless, headless.facts?.addresses, headless.bad], [true, [], []]);
  const external = read(serviceFacts, { metadata, spec: { type: "ExternalName", clusterIP: "10.96.0.9" } });
  assert.deepEqual([external.facts?.headless, external.facts?.addresses], [true, []]);
});

Deno.test("sliceFacts() takes pods of its own namespace and the API server's addresses", () => {
  const endpoints = [
    { addresses: ["10.0.0.1"], targetRef: { kind: "Pod", name: "a", namespace: "elsewhere" } },
    { addresses: ["10.0.0.2"], targetRef: { kind: "Node", name: "n" } },
    { addresses: ["10.0.0.1"], targetRef: { kind: "Pod", name: "a" } },
  ];
  const labels = { "kubernetes.io/service-name": "web" };
  const { facts } = read(sliceFacts, { metadata: { ...metadata, labels }, endpoints });
  assert.deepEqual([facts?.service, facts?.pods, facts?.addresses], ["ns/web", ["ns/a"], []]);
  const api = {
    metadata: { name: "k", namespace: "default", labels: { "kubernetes.io/service-name": "kubernetes" } },
    endpoints,
  };
  assert.deepEqual(read(sliceFacts, api).facts?.addresses, ["10.0.0.1", "10.0.0.2"]);
});

Deno.test("nodeFacts() tells addresses, gateways and ranges apart", () => {
  const addresses = [
    { type: "InternalIP", address: "172.18.0.2" },
    { type: "InternalIP", address: "fd00:18::2" },
    { type: "ExternalIP", address: "172.18.0.2" },
    { type: "ExternalIP", address: "192.0.2.9" },
    { type: "Hostname", address: "node-1" },
  ];
  const spec = { podCIDR: "10.1.0.0/24", podCIDRs: ["10.1.0.0/24", "fd00:1::/64", "0.0.0.0/0", "10.9.0.0/32"] };
  const { facts, bad } = read(nodeFacts, {
    metadata: { name: "node-1", uid: "u", annotations: { "projectcalico.org/IPv4VXLANTunnelAddr": "10.1.0.64" } },
    spec,
    status: { addresses },
  });
  assert.deepEqual(facts?.internal, ["172.18.0.2", "fd00:18::2"]);
  assert.deepEqual(facts?.external, ["192.0.2.9", "10.1.0.64"]);
  assert.deepEqual(facts?.gateways, ["10.1.0.0", "10.1.0.1", "fd00:1::", "fd00:1::1"]);
  assert.deepEqual(facts?.podCidrs.slice(0, 2), ["10.1.0.0/24", "fd00:1::/64"]);
  assert.deepEqual(bad, ["0.0.0.0/0"]);
});

Deno.test("facts of anything that JSON can hold never throw", () => {
  const keys = fc.constantFrom(
    "metadata",
    "name",
    "namespace",
    "uid",
    "labels",
    "spec",
    "status",
    "podIPs",
    "ip",
    "addresses",
  );
  const { tree } = fc.letrec((tie) => ({
    tree: fc.oneof(
      fc.jsonValue(),
      fc.constant("10.0.0.1"),
      fc.dictionary(keys, tie("tree")),
      fc.array(tie("tree"), { maxLength: 3 }),
    ),
  }));
  fc.assert(fc.property(fc.dictionary(keys, tree), (from) => {
    for (const reader of [podFacts, serviceFacts, sliceFacts, nodeFacts]) {
      const { facts } = read<{ key: string } | undefined>(reader, asObject(from)!);
      assert.notEqual(facts?.key, "");
    }
  }));
});
