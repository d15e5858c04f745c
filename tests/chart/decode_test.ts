/** What the tests of the chart rely on: the decoder sees what Kubernetes would refuse. */
import assert from "node:assert/strict";
import { testWith } from "../lab/need.ts";
import { decode, helmBuilt } from "./chart.ts";

const pod = (spec: string) => `apiVersion: v1\nkind: Pod\nmetadata: {name: a, namespace: b}\nspec: ${spec}\n`;
const GOOD = "{containers: [{name: a, image: b}]}";

/** Documents that Kubernetes would refuse, or silently take for something else, and why. */
const BAD: readonly (readonly [document: string, reason: RegExp])[] = [
  [
    pod("{containers: [{name: a, image: b, imagePolicy: Always}]}"),
    /unknown field "spec\.containers\[0\]\.imagePolicy"/,
  ],
  [`${pod(GOOD)}spec: ${GOOD}\n`, /key "spec" already set/],
  [pod("{containers: [{name: a, image: b, args: [1]}]}"), /cannot unmarshal number/],
  ["apiVersion: v1\nkind: Pods\nmetadata: {name: a}\n", /no kind "Pods" is registered/],
  ["apiVersion: example.org/v1\nkind: Thing\nmetadata: {name: a}\n", /no kind "Thing" is registered/],
  [pod("{containers: []}"), /spec\.containers: Required value/],
  [
    pod("{containers: [{name: a, image: b, ports: [{name: much-too-long-name, containerPort: 1}]}]}"),
    /ports\[0\]\.name: Invalid value.*no more than 15/,
  ],
  [
    pod("{containers: [{name: a, image: b, volumeMounts: [{name: c, mountPath: /c}]}]}"),
    /volumeMounts\[0\]\.name: Not found/,
  ],
  ["apiVersion: v1\nkind: Lease\nmetadata: {name: a}\n", /no kind "Lease"/],
  ["apiVersion: coordination.k8s.io/v1\nkind: Lease\nmetadata: {name: a}\n", /Lease.*no (kind|validation)/],
];

testWith([helmBuilt], "decode() takes what Kubernetes takes, and skips empty documents", async () => {
  const manifests = await decode(`# nothing\n---\n${pod(GOOD)}---\n`);
  assert.deepEqual(manifests.map(({ kind, metadata }) => `${kind} ${metadata.name}`), ["Pod a"]);
});

testWith([helmBuilt], "decode() refuses what Kubernetes would refuse, and says why", async (t) => {
  for (const [document, reason] of BAD) {
    await t.step(String(reason), () => assert.rejects(decode(document), (error: Error) => reason.test(error.message)));
  }
});
