import assert from "node:assert/strict";
import { IdentityFileError, parseIdentityFile } from "./identity_file.ts";
import { numberOf } from "./numeric.ts";

const GOOD = `
identities:
  # a pod of two families
  - addresses: [10.1.0.2, "fd00::2"]
    namespace: shop
    pod: web-1
    labels: { app: web, tier: "1", canary: true, empty: }
    workload: { kind: Deployment, name: web }
  - addresses: [10.96.0.1]
    namespace: default
    service: kubernetes
  - addresses: [172.18.0.2, 10.244.0.0/24]
    node: node-1
  - addresses: [192.0.2.0/24]
    labels: { site: berlin }
  - addresses: [198.51.100.7]
    reserved: health
`;

Deno.test("parseIdentityFile() reads pods, services, nodes, labelled networks and reserved identities", () => {
  const entries = parseIdentityFile(GOOD);
  const pod = entries.get("10.1.0.2")!;
  assert.equal(pod.pod, "web-1");
  assert.equal(pod.namespace, "shop");
  assert.deepEqual(pod.labels, [
    "k8s:app=web",
    "k8s:canary=true",
    "k8s:empty",
    "k8s:io.kubernetes.pod.namespace=shop",
    "k8s:tier=1",
  ]);
  assert.equal(pod.numeric, numberOf("shop", ["app=web", "tier=1", "canary=true", "empty="]));
  assert.deepEqual(pod.workloads, [{ kind: "Deployment", name: "web" }]);
  assert.equal(entries.get("fd00::2"), pod);
  assert.equal(entries.get("10.96.0.1")!.numeric, 7);
  assert.deepEqual([entries.get("172.18.0.2")!.numeric, entries.get("172.18.0.2")!.nodeAddress], [6, true]);
  assert.equal(entries.get("10.244.0.0/24")!.nodeAddress, false);
  assert.ok(entries.get("192.0.2.0/24")!.numeric >= 256);
  assert.deepEqual([entries.get("198.51.100.7")!.numeric, entries.get("198.51.100.7")!.labels], [4, [
    "reserved:health",
  ]]);
  assert.equal(parseIdentityFile("identities: []").size, 0);
});

Deno.test("parseIdentityFile() names the line of what it cannot use", () => {
  const cases: [text: string, message: RegExp][] = [
    ["", /^line 1: expected a list called "identities"/],
    ["- a\n- b", /^line 1: expected a list/],
    ["identities: 3", /^line 1: "identities" has to be a list/],
    ["identities:\n  - 10.0.0.1", /^line 2: expected an identity with/],
    ["identities: []\nidentity: []", /^line 2: "identity" is none of identities/],
    [
      "identities:\n  - addresses: [10.0.0.1]\n    namespaces: a\n    pod: b",
      /^line 3: "namespaces" is none of addresses,/,
    ],
    ["identities:\n  - namespace: a\n    pod: b", /^line 2: "addresses" has to be a list/],
    [
      "identities:\n  - addresses:\n    - 10.0.0.1\n    - 10.0.0.0/33\n    node: a",
      /^line 4: "10.0.0.0\/33" is neither/,
    ],
    ["identities:\n  - addresses: [10]\n    node: a", /^line 2: "10" is neither/],
    [
      "identities:\n  - addresses: [10.0.0.1]\n    node: a\n  - addresses:\n    - ::ffff:10.0.0.1\n    node: b",
      /^line 5: 10.0.0.1 is named in line 2 already/,
    ],
    ["identities:\n  - addresses: [10.0.0.1]\n    pod: b", /^line 2: b needs a namespace/],
    ["identities:\n  - addresses: [10.0.0.1]\n    pod: b\n    node: c", /^line 2: an identity is one of/],
    ["identities:\n  - addresses: [10.0.0.1]\n", /^line 2: expected a pod, service, node, reserved or labels/],
    ["identities:\n  - addresses: [10.0.0.1]\n    reserved: moon", /^line 2: reserved "moon" is none of unknown, host/],
    ["identities:\n  - addresses: [10.0.0.1]\n    labels: [a]", /^line 3: "labels" has to be a map/],
    ["identities:\n  - addresses: [10.0.0.1]\n    labels:\n      a: [b]", /^line 4: label a has to be a text/],
    ["identities:\n  - addresses: [10.0.0.1]\n    node: a\n    workload: web", /^line 4: "workload" has to be a map/],
    [
      "identities:\n  - addresses: [10.0.0.1]\n    node: a\n    workload: { kind: x }",
      /^line 4: "workload" needs both/,
    ],
    ["identities:\n  - addresses: [10.0.0.1]\n    node: 5", /^line 3: "node" has to be a text/],
    ["identities:\n  - addresses: [10.0.0.1\n    node: 5", /^line \d: /],
    ["identities:\n  - addresses: [10.0.0.1]\n    node: a\n    node: b", /^line 4: Map keys must be unique/],
  ];
  for (const [text, message] of cases) {
    assert.throws(() => parseIdentityFile(text), (error: unknown) => {
      assert.ok(error instanceof IdentityFileError, `${text}: ${error}`);
      assert.match(error.message, message);
      return true;
    });
  }
});
