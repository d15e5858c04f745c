/** Renders the Helm chart, decodes what comes out strictly as Kubernetes' own types, and checks it as the API server does. */
import assert from "node:assert/strict";
import { type Output, run, type RunOptions } from "../../scripts/process.ts";
import { toolPath } from "../../scripts/tools.ts";
import type { Need } from "../lab/need.ts";

export const CHART = new URL("../../helm", import.meta.url).pathname;
export const NAMESPACE = "observe";

/** Helm and the decoder, built by `deno task build:tools`. */
export const helmBuilt: Need = () =>
  [toolPath("helm"), toolPath("manifests")].every(exists)
    ? undefined
    : "machine: Helm is not built; run `deno task build:tools`, which needs Go";

/** A Kubernetes object as far as the tests look at all kinds alike. */
export interface Manifest {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: {
    readonly name: string;
    readonly namespace?: string;
    readonly labels: Readonly<Record<string, string>>;
    readonly annotations?: Readonly<Record<string, string>>;
  };
  /** Of what has a pod: the rules that forbid it, by level of the Pod Security Standards. */
  readonly podSecurity?: { readonly baseline: readonly string[]; readonly restricted: readonly string[] };
  // deno-lint-ignore no-explicit-any -- what the decoder has checked already, of thirty types
  readonly [field: string]: any;
}

/** Values, nested as in values.yaml. */
export type Values = { readonly [name: string]: unknown };

export interface RenderOptions {
  readonly args?: readonly string[];
  readonly env?: Record<string, string>;
}

/** Kinds of custom resources: no type of Kubernetes stands for them, so the tests look at their structure. */
const CUSTOM = [
  "monitoring.coreos.com/PodMonitor",
  "monitoring.coreos.com/ServiceMonitor",
  "monitoring.coreos.com/PrometheusRule",
  "cert-manager.io/Issuer",
  "cert-manager.io/Certificate",
];

/** Runs Helm, which may fail, with values as a file and nothing of the user's own configuration. */
export async function helm(args: readonly string[], values: Values = {}, options: RunOptions = {}): Promise<Output> {
  const folder = await Deno.makeTempDir({ prefix: "helm-" });
  try {
    const file = `${folder}/values.json`;
    await Deno.writeTextFile(file, JSON.stringify(values));
    const env = { HOME: folder, KUBECONFIG: `${folder}/none`, ...options.env };
    return await run(toolPath("helm"), [...args, "--values", file], { allowFailure: true, ...options, env });
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

const rendered = new Map<string, Promise<Manifest[]>>();

/** Renders the chart as release `retina` and decodes and checks every document; a field that its type does not know is an error. */
export function render(values: Values = {}, options: RenderOptions = {}): Promise<Manifest[]> {
  // What a cluster has is asked each time.
  if (options.env !== undefined) return renderAnew(values, options);
  const key = JSON.stringify([values, options]);
  const known = rendered.get(key) ?? renderAnew(values, options);
  rendered.set(key, known);
  return known;
}

async function renderAnew(values: Values, options: RenderOptions): Promise<Manifest[]> {
  const args = ["template", "retina", CHART, "--namespace", NAMESPACE, ...options.args ?? []];
  const { code, stdout, stderr } = await helm(args, values, options.env === undefined ? {} : { env: options.env });
  assert.equal(code, 0, stderr);
  return decode(stdout);
}

/** What Helm says to values that the chart refuses. Fails if it renders them. */
export async function refusal(values: Values, ...args: string[]): Promise<string> {
  const { code, stderr } = await helm(["template", "retina", CHART, ...args], values);
  assert.notEqual(code, 0, `Rendered although it must not be: ${JSON.stringify(values)} ${args.join(" ")}`);
  return stderr;
}

/** The documents of a text; fails with what Kubernetes says to the first that it would not take. */
export async function decode(yaml: string): Promise<Manifest[]> {
  const { stdout } = await run(toolPath("manifests"), ["-custom", CUSTOM.join(",")], { input: yaml });
  return stdout.split("\n").filter((line) => line !== "").map((line) => {
    const { object, error, podSecurity } = JSON.parse(line);
    assert.ok(object !== undefined, `${error}`);
    return podSecurity === undefined ? object : { ...object, podSecurity };
  });
}

/** The one object of this kind and name. */
export function find(manifests: readonly Manifest[], kind: string, name: string): Manifest {
  const found = manifests.filter((one) => one.kind === kind && one.metadata.name === name);
  assert.equal(found.length, 1, `${found.length} objects ${kind} ${name} instead of one`);
  return found[0];
}

/** Everything that has a pod template, with the template. */
export function workloads(manifests: readonly Manifest[]): Manifest[] {
  return manifests.filter(({ kind }) => kind === "DaemonSet" || kind === "Deployment");
}

/** A container of a workload or a pod. */
// deno-lint-ignore no-explicit-any -- see Manifest
export function container(manifest: Manifest, name: string): any {
  const spec = manifest["spec"].template?.spec ?? manifest["spec"];
  const found = spec.containers.find((one: { name: string }) => one.name === name);
  assert.ok(found !== undefined, `${manifest.kind} ${manifest.metadata.name} has no container ${name}`);
  return found;
}

/** Environment variables of a container by name; those that Kubernetes fills in have the field's path in braces. */
export function environment(
  of: { env?: { name: string; value?: string; valueFrom?: unknown }[] },
): Map<string, string> {
  return new Map((of.env ?? []).map(({ name, value, valueFrom }) => [
    name,
    value ?? `{${(valueFrom as { fieldRef: { fieldPath: string } }).fieldRef.fieldPath}}`,
  ]));
}

function exists(path: string): boolean {
  try {
    return Deno.statSync(path).isFile;
  } catch {
    return false;
  }
}
