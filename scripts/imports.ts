/**
 * The import rules of the design, checked on the module graph of `deno info --json`: who may import whom, which folder
 * may use which package, and what must stay out of the agent's start.
 */

/** Folders of the product, the upper ones first. A folder may import itself and what its rule lists. */
const LAYERS: readonly { readonly name: string; readonly prefix: string; readonly imports: readonly string[] }[] = [
  { name: "entry", prefix: "main.ts", imports: ["agent", "cli"] },
  { name: "entry", prefix: "operator.ts", imports: ["operator", "cli"] },
  {
    name: "agent",
    prefix: "src/agent/",
    // ffi: the kernel's files about this process, which Deno itself reads with --allow-all only, and its memory.
    imports: ["operator", "plugins", "hubble", "telemetry", "flow", "identity", "proto", "cli", "ffi", "http2"],
  },
  {
    name: "operator",
    prefix: "src/operator/",
    imports: ["hubble", "telemetry", "identity", "proto", "cli", "http2"],
  },
  { name: "plugins", prefix: "src/plugins/", imports: ["flow", "identity", "proto", "ffi"] },
  { name: "hubble", prefix: "src/hubble/", imports: ["flow", "identity", "proto", "http2"] },
  { name: "telemetry", prefix: "src/telemetry/", imports: ["flow", "identity", "proto", "cli"] },
  { name: "flow", prefix: "src/flow/", imports: ["identity", "proto"] },
  { name: "identity", prefix: "src/identity/", imports: ["proto", "http2"] },
  { name: "cli", prefix: "src/cli/", imports: [] },
  { name: "http2", prefix: "src/http2/", imports: [] },
  { name: "ffi", prefix: "ffi/", imports: [] },
  { name: "proto", prefix: "proto/", imports: [] },
];

/** Packages that only some folders may use: those that would drag a transport, a metrics library or a client everywhere. */
const PACKAGES: Readonly<Record<string, readonly string[]>> = {
  "@kubernetes/client-node": ["operator"],
  "@connectrpc/connect": ["hubble", "identity", "operator"],
  "@connectrpc/connect-node": ["hubble", "identity", "operator"],
  "@grpc/grpc-js": [],
  "prom-client": ["telemetry"],
  "pprof-format": ["telemetry"],
  "@logtape/logtape": ["telemetry", "agent", "operator"],
  commander: ["agent", "operator"],
  "fast-check": [],
  yaml: ["identity"],
};

/** What the agent's start must not load: 70 MB of memory for the first, 10 MB for the others together. */
const NOT_AT_START = {
  entry: "main.ts",
  packages: ["@kubernetes/client-node", "@bufbuild/cel", "re2js", "yaml", "pprof-format"],
};

/** One import: a file of the repository (path from its root), the specifier as written, and what it resolves to. */
export interface Import {
  readonly from: string;
  readonly specifier: string;
  /** Path from the root, or `npm:NAME`, or `node:NAME`. */
  readonly to: string;
  readonly dynamic: boolean;
  readonly typeOnly: boolean;
}

/** One sentence for every import that breaks a rule. */
export function violations(imports: readonly Import[]): string[] {
  return [...imports.flatMap((one) => violation(one) ?? []), ...startViolations(imports)];
}

/** The folder that a file belongs to; undefined for scripts, tests and benches, which may import everything. */
export function layerOf(path: string): string | undefined {
  if (isFree(path)) return undefined;
  return LAYERS.find((layer) => path === layer.prefix || (layer.prefix.endsWith("/") && path.startsWith(layer.prefix)))
    ?.name;
}

function isFree(path: string): boolean {
  return /^(scripts|tests|bench)\//.test(path) || /_(test|bench)\.ts$/.test(path) || /(^|\/)testdata\//.test(path) ||
    /(^|\/)(testing|test_support)\.ts$/.test(path);
}

function violation(one: Import): string | undefined {
  if (/^(jsr|https?):/.test(one.to)) {
    return `${one.from} imports ${one.specifier}: packages come from npm, by deno.json`;
  }
  if (isFree(one.from)) return undefined;
  const layer = LAYERS.find((layer) => layer.name === layerOf(one.from) && one.from.startsWith(layer.prefix));
  if (layer === undefined) {
    return `${one.from} is in no folder that the import rules know: add it to scripts/imports.ts`;
  }
  if (one.to.startsWith("npm:")) {
    const name = one.to.slice(4);
    const allowed = PACKAGES[name];
    if (layer.name === "ffi") return `${one.from} imports ${name}: ffi/ uses no package`;
    if (allowed === undefined || allowed.includes(layer.name)) return undefined;
    return `${one.from} imports ${name}: only ${allowed.join(", ") || "scripts and tests"} may`;
  }
  if (one.to.startsWith("node:") || one.to === "deno.json") return undefined; // deno.json: the version
  if (isFree(one.to)) return `${one.from} imports ${one.to}: no product file may import scripts, tests or benches`;
  const target = layerOf(one.to);
  if (target === undefined || target === layer.name || layer.imports.includes(target)) return undefined;
  return `${one.from} imports ${one.to}: ${layer.name} may import only ${layer.imports.join(", ") || "itself"}`;
}

function startViolations(imports: readonly Import[]): string[] {
  const reached = new Set([NOT_AT_START.entry]);
  const found: string[] = [];
  for (const path of reached) { // a set may grow while it is walked
    for (const one of imports) {
      if (one.from !== path || one.dynamic || one.typeOnly) continue;
      if (NOT_AT_START.packages.some((name) => one.to === `npm:${name}`)) {
        found.push(
          `${path} imports ${
            one.to.slice(4)
          }, which ${NOT_AT_START.entry} then loads at its start: import it dynamically`,
        );
      } else if (!one.to.includes(":")) reached.add(one.to);
    }
  }
  return found;
}

/** What `deno info --json` says of one import: a specifier, and where code and types come from. */
interface InfoDependency {
  specifier: string;
  isDynamic?: boolean;
  code?: { specifier?: string };
  type?: { specifier?: string };
}
export interface Info {
  modules: { specifier: string; dependencies?: InfoDependency[] }[];
  redirects?: Record<string, string>;
}

/** The imports of the files below `root` (a file URL that ends with a slash). */
export function importsOf(info: Info, root: string): Import[] {
  const path = (specifier: string) => {
    const target = info.redirects?.[specifier] ?? specifier;
    if (target.startsWith(root)) return target.slice(root.length);
    const npm = /^npm:\/?((?:@[^/@]+\/)?[^/@]+)/.exec(target);
    return npm === null ? target : `npm:${npm[1]}`;
  };
  return info.modules.filter((module) => module.specifier.startsWith(root)).flatMap((module) =>
    (module.dependencies ?? []).map((one) => ({
      from: path(module.specifier),
      specifier: one.specifier,
      to: path(one.code?.specifier ?? one.type?.specifier ?? one.specifier),
      dynamic: one.isDynamic === true,
      typeOnly: one.code === undefined,
    }))
  );
}
