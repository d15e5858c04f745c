import { sipHash13 } from "./siphash.ts";

/** The smallest number that is not reserved. */
export const FIRST_NUMBER = 256;
/** How many numbers there are: 256..65,535, as in a Cilium cluster. */
export const NUMBER_COUNT = 65_280;

/**
 * Labels that Kubernetes sets anew for every rollout, Job or ordinal. They do not say what a pod is: with them each
 * rollout would be another identity, another box in the UI.
 */
const VOLATILE = new Set([
  "pod-template-hash",
  "controller-revision-hash",
  "pod-template-generation",
  "statefulset.kubernetes.io/pod-name",
  "apps.kubernetes.io/pod-index",
  "batch.kubernetes.io/job-completion-index",
  "batch.kubernetes.io/controller-uid",
  "controller-uid",
]);

/** Whether a label's key says nothing about what the pod is. */
export function isVolatile(key: string): boolean {
  return VOLATILE.has(key);
}

const encoder = new TextEncoder();

/**
 * Hashes a namespace and labels (`key=value`, without `k8s:`): SipHash-1-3 over each text in UTF-8 followed by 0xFF, labels
 * in byte order, volatile ones left out. The same as that of the Rust implementation of this protocol, but for the labels
 * of {@link isVolatile} that it counts.
 */
export function hashLabels(
  namespace: string,
  labels: readonly string[],
): { readonly high: number; readonly low: number } {
  const parts = labels.filter((label) => !VOLATILE.has(keyOf(label))).map((label) => encoder.encode(label));
  parts.sort(compareBytes);
  parts.unshift(encoder.encode(namespace));
  const bytes = new Uint8Array(parts.reduce((sum, part) => sum + part.length + 1, 0));
  let at = 0;
  for (const part of parts) {
    bytes.set(part, at);
    bytes[at + part.length] = 0xff;
    at += part.length + 1;
  }
  return sipHash13(bytes);
}

/** The numeric identity that a hash asks for; two hashes may ask for the same. */
export function preferredNumber(hash: { readonly low: number }): number {
  return hash.low % NUMBER_COUNT + FIRST_NUMBER;
}

/** Numeric identity of a namespace and labels when nobody resolves collisions. */
export function numberOf(namespace: string, labels: readonly string[]): number {
  return preferredNumber(hashLabels(namespace, labels));
}

function keyOf(label: string): string {
  const end = label.indexOf("=");
  return end < 0 ? label : label.slice(0, end);
}

function compareBytes(a: Uint8Array, b: Uint8Array): number {
  const length = Math.min(a.length, b.length);
  for (let i = 0; i < length; i++) if (a[i] !== b[i]) return a[i] - b[i];
  return a.length - b.length;
}
