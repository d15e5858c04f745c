import { isMap, isScalar, isSeq, LineCounter, type Pair, parseDocument, type YAMLMap } from "yaml";
import { formatPrefix, parsePrefix } from "./address.ts";
import type { Entry } from "./entry.ts";
import { ReservedIdentity } from "./identity.ts";
import { type PlainFields, resolveEntry } from "./resolve.ts";

/** Something in an identity file that cannot be used; the message begins with the line. */
export class IdentityFileError extends Error {
  override name = "IdentityFileError";

  constructor(readonly line: number, message: string) {
    super(`line ${line}: ${message}`);
  }
}

const KEYS = ["addresses", "namespace", "pod", "service", "node", "reserved", "labels", "workload"];
const RESERVED = Object.keys(ReservedIdentity).map((name) => name.toLowerCase().replaceAll("_", "-"));

/** Where a node of the document stands, for messages. */
type LineOf = (node: unknown) => number;

/**
 * Reads an identity file: what each prefix stands for.
 *
 * ```yaml
 * identities:
 *   - addresses: [10.1.0.2, fd00::2]      # addresses or CIDRs
 *     namespace: shop
 *     pod: web-1                          # or service: web, or node: node-1, or reserved: kube-apiserver
 *     labels: { app: web }
 *     workload: { kind: Deployment, name: web }
 * ```
 *
 * @throws IdentityFileError for the first thing that cannot be used.
 */
export function parseIdentityFile(text: string): Map<string, Entry> {
  const counter = new LineCounter();
  const document = parseDocument(text, { lineCounter: counter, prettyErrors: false });
  const lineOf: LineOf = (node) => {
    const range = (node as { range?: readonly number[] } | null)?.range;
    return counter.linePos(range?.[0] ?? 0).line;
  };
  const [problem] = document.errors;
  if (problem !== undefined) throw new IdentityFileError(counter.linePos(problem.pos[0]).line, problem.message);
  const root = document.contents;
  if (!isMap(root)) throw new IdentityFileError(1, 'expected a list called "identities"');
  requireKeys(root, ["identities"], lineOf);
  const list = root.get("identities", true);
  if (!isSeq(list)) throw new IdentityFileError(lineOf(list ?? root), '"identities" has to be a list');
  const entries = new Map<string, Entry>();
  const lines = new Map<string, number>();
  for (const item of list.items) {
    if (!isMap(item)) throw new IdentityFileError(lineOf(item), `expected an identity with ${KEYS.join(", ")}`);
    const entry = entryOf(item, lineOf);
    for (const [prefix, line] of addressesOf(item, lineOf)) {
      const before = lines.get(prefix);
      if (before !== undefined) throw new IdentityFileError(line, `${prefix} is named in line ${before} already`);
      lines.set(prefix, line);
      const single = !prefix.includes("/");
      entries.set(prefix, single && entry.node !== "" ? { ...entry, nodeAddress: true } : entry);
    }
  }
  return entries;
}

function entryOf(item: YAMLMap, lineOf: LineOf): Entry {
  requireKeys(item, KEYS, lineOf);
  const [namespace, pod, service, node, reserved] = ["namespace", "pod", "service", "node", "reserved"].map((key) =>
    textOf(item, key, lineOf)
  );
  const named = [pod, service, node, reserved].filter((name) => name !== "").length;
  const line = lineOf(item);
  if (named > 1) {
    throw new IdentityFileError(line, "an identity is one of pod, service, node and reserved, not several");
  }
  if ((pod !== "" || service !== "") && namespace === "") {
    throw new IdentityFileError(line, `${pod || service} needs a namespace`);
  }
  if (reserved !== "" && !RESERVED.includes(reserved)) {
    throw new IdentityFileError(line, `reserved "${reserved}" is none of ${RESERVED.join(", ")}`);
  }
  const labels = labelsOf(item, lineOf);
  if (reserved !== "") labels.push(`reserved:${reserved}`);
  if (named === 0 && labels.length === 0) {
    throw new IdentityFileError(
      line,
      "expected a pod, service, node, reserved or labels: nothing is said of these addresses",
    );
  }
  const workload = workloadOf(item, lineOf);
  const fields: PlainFields = { namespace, pod, service, node, labels, ...(workload && { workloads: [workload] }) };
  return resolveEntry(fields);
}

function addressesOf(item: YAMLMap, lineOf: LineOf): [prefix: string, line: number][] {
  const list = item.get("addresses", true);
  if (!isSeq(list) || list.items.length === 0) {
    throw new IdentityFileError(lineOf(list ?? item), '"addresses" has to be a list of addresses and CIDRs');
  }
  return list.items.map((node) => {
    const text = isScalar(node) && typeof node.value === "string" ? node.value : undefined;
    const prefix = text === undefined ? undefined : parsePrefix(text);
    if (prefix === undefined) {
      throw new IdentityFileError(lineOf(node), `"${text ?? String(node)}" is neither an IP address nor a CIDR`);
    }
    return [formatPrefix(prefix), lineOf(node)];
  });
}

function labelsOf(item: YAMLMap, lineOf: LineOf): string[] {
  const labels = item.get("labels", true);
  if (labels === undefined) return [];
  if (!isMap(labels)) throw new IdentityFileError(lineOf(labels), '"labels" has to be a map, like { app: web }');
  return labels.items.map((pair) => {
    const value = pair.value;
    if (value !== null && !isScalar(value)) {
      throw new IdentityFileError(lineOf(value), `label ${keyOf(pair)} has to be a text`);
    }
    // true and 1 are texts here, as they are in Kubernetes.
    return `${keyOf(pair)}=${value === null ? "" : value.source ?? String(value.value ?? "")}`;
  });
}

function workloadOf(item: YAMLMap, lineOf: LineOf): { kind: string; name: string } | undefined {
  const workload = item.get("workload", true);
  if (workload === undefined) return undefined;
  if (!isMap(workload)) throw new IdentityFileError(lineOf(workload), '"workload" has to be a map of kind and name');
  requireKeys(workload, ["kind", "name"], lineOf);
  const [kind, name] = [textOf(workload, "kind", lineOf), textOf(workload, "name", lineOf)];
  if (kind === "" || name === "") throw new IdentityFileError(lineOf(workload), '"workload" needs both kind and name');
  return { kind, name };
}

function textOf(map: YAMLMap, key: string, lineOf: LineOf): string {
  const node = map.get(key, true);
  if (node === undefined) return "";
  if (!isScalar(node) || typeof node.value !== "string" || node.value === "") {
    throw new IdentityFileError(lineOf(node), `"${key}" has to be a text`);
  }
  return node.value;
}

function requireKeys(map: YAMLMap, allowed: readonly string[], lineOf: LineOf): void {
  for (const pair of map.items) {
    if (allowed.includes(keyOf(pair))) continue;
    throw new IdentityFileError(lineOf(pair.key), `"${keyOf(pair)}" is none of ${allowed.join(", ")}`);
  }
}

function keyOf(pair: Pair): string {
  return isScalar(pair.key) ? String(pair.key.value) : String(pair.key);
}
