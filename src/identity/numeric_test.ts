import assert from "node:assert/strict";
import fc from "fast-check";
import { FIRST_NUMBER, hashLabels, NUMBER_COUNT, numberOf } from "./numeric.ts";
import { sipHash13 } from "./siphash.ts";

const VECTORS: [namespace: string, labels: string[], hash: string, number: number][] = [
  ["default", ["app=nginx"], "c3ca46be4fa5392d", 12077],
  ["default", ["app=nginx", "tier=frontend"], "962ec4a3f2abc50b", 25867],
  ["production", ["app=nginx"], "dbba6100cd0039bc", 2236],
  ["default", [], "4eb7ff81b5f63ce1", 59873],
  ["", ["k8s:io.kubernetes.node.name=node-1"], "150b138ccd32e26a", 58218],
  ["", ["k8s:io.kubernetes.node.name=node-2"], "d68a6fd117955b40", 2368],
  ["backend", ["k8s:io.kubernetes.svc.name=redis"], "a548a739c2796bf1", 43249],
];

Deno.test("hashLabels() and numberOf() give the numbers that other implementations give", () => {
  for (const [namespace, labels, hash, number] of VECTORS) {
    const { high, low } = hashLabels(namespace, labels);
    assert.equal(
      high.toString(16).padStart(8, "0") + low.toString(16).padStart(8, "0"),
      hash,
      `${namespace} ${labels}`,
    );
    assert.equal(numberOf(namespace, labels), number);
  }
});

Deno.test("numberOf() takes labels in any order and ignores those of one rollout", () => {
  const number = numberOf("default", ["app=nginx", "tier=frontend"]);
  assert.equal(numberOf("default", ["tier=frontend", "app=nginx"]), number);
  assert.equal(
    numberOf("default", [
      "pod-template-hash=5d4f",
      "app=nginx",
      "controller-revision-hash=1",
      "pod-template-generation=2",
      "statefulset.kubernetes.io/pod-name=web-0",
      "batch.kubernetes.io/job-completion-index=3",
      "controller-uid=u",
      "tier=frontend",
    ]),
    number,
  );
  assert.notEqual(numberOf("default", ["app=nginx", "tier=frontend", "pod-template-hash-x=1"]), number);
});

Deno.test("numberOf() sorts by bytes, not by UTF-16 units", () => {
  // U+FF5E sorts before U+1F600 in UTF-8 and after its surrogates in UTF-16.
  const high = "\u{1F600}=1", wide = "\uFF5E=1";
  const bytes = [...new TextEncoder().encode("ns"), 255, ...new TextEncoder().encode(wide), 255]
    .concat([...new TextEncoder().encode(high), 255]);
  assert.deepEqual(hashLabels("ns", [high, wide]), sipHash13(Uint8Array.from(bytes)));
});

Deno.test("sipHash13() equals a plain BigInt implementation", () => {
  fc.assert(fc.property(fc.uint8Array({ maxLength: 70 }), (bytes) => {
    const { high, low } = sipHash13(bytes);
    assert.equal(BigInt(high) << 32n | BigInt(low), slow(bytes));
  }));
});

Deno.test("numberOf() stays within Cilium's range of cluster identities", () => {
  fc.assert(fc.property(fc.string(), fc.array(fc.string()), (namespace, labels) => {
    const number = numberOf(namespace, labels);
    assert.ok(number >= FIRST_NUMBER && number < FIRST_NUMBER + NUMBER_COUNT);
  }));
});

/** SipHash-1-3 as the paper writes it. */
function slow(bytes: Uint8Array): bigint {
  const u64 = (x: bigint) => BigInt.asUintN(64, x);
  const rotl = (x: bigint, n: bigint) => u64(x << n) | x >> 64n - n;
  let v0 = 0x736f6d6570736575n, v1 = 0x646f72616e646f6dn, v2 = 0x6c7967656e657261n, v3 = 0x7465646279746573n;
  const round = () => {
    v0 = u64(v0 + v1);
    v1 = rotl(v1, 13n) ^ v0;
    v0 = rotl(v0, 32n);
    v2 = u64(v2 + v3);
    v3 = rotl(v3, 16n) ^ v2;
    v0 = u64(v0 + v3);
    v3 = rotl(v3, 21n) ^ v0;
    v2 = u64(v2 + v1);
    v1 = rotl(v1, 17n) ^ v2;
    v2 = rotl(v2, 32n);
  };
  const padded = new Uint8Array((bytes.length & ~7) + 8);
  padded.set(bytes);
  padded[padded.length - 1] = bytes.length;
  const view = new DataView(padded.buffer);
  for (let at = 0; at < padded.length; at += 8) {
    const m = view.getBigUint64(at, true);
    v3 ^= m;
    round();
    v0 ^= m;
  }
  v2 ^= 0xffn;
  for (let i = 0; i < 3; i++) round();
  return v0 ^ v1 ^ v2 ^ v3;
}
