/**
 * Builds the Go programs that the tests need (tests/tools), once, into .cache/tools.
 *
 *     deno run -A scripts/tools.ts [NAME...]       default: all
 */
import { CommandError, run, which } from "./process.ts";

const MODULES = new URL("../tests/tools/", import.meta.url).pathname;
const OUT = new URL("../.cache/tools/", import.meta.url).pathname;

interface Tool {
  /** Folder of its Go module below tests/tools. Helm and Kubernetes need newer versions of what Cilium's programs are pinned to. */
  readonly module: "" | "helm/" | "manifests/";
  readonly pkg: string;
  /** Variables that the build sets. */
  readonly ldflags: string;
}

const HELM = "helm.sh/helm/v3";
/** Minor version of the Kubernetes that Helm renders for without a cluster, and that tests/tools/manifests checks by. */
const KUBERNETES = 37;

const TOOLS: Readonly<Record<string, Tool>> = {
  hubble: {
    module: "",
    pkg: "github.com/cilium/cilium/hubble",
    ldflags: "-X github.com/cilium/cilium/hubble/pkg.Version=v1.19.4",
  },
  "hubble-relay": { module: "", pkg: "github.com/cilium/cilium/hubble-relay", ldflags: "" },
  streamclient: { module: "", pkg: "./streamclient", ldflags: "" },
  helm: {
    module: "helm/",
    pkg: `${HELM}/cmd/helm`,
    ldflags: ["pkg/chartutil", "pkg/lint/rules"].map((folder) =>
      `-X ${HELM}/${folder}.k8sVersionMajor=1 -X ${HELM}/${folder}.k8sVersionMinor=${KUBERNETES}`
    ).join(" "),
  },
  manifests: { module: "manifests/", pkg: ".", ldflags: "" },
};

/** Path of a tool, whether it is built or not. */
export function toolPath(name: keyof typeof TOOLS & string): string {
  return `${OUT}${name}`;
}

/**
 * Builds what is missing or older than its module files. Go itself caches compiled packages, so a second checkout is quick.
 * @returns why it cannot, or undefined when the tools are there.
 */
export async function buildTools(names: readonly string[] = Object.keys(TOOLS)): Promise<string | undefined> {
  const unknown = names.find((name) => !(name in TOOLS));
  if (unknown !== undefined) return `No tool ${unknown}: expected ${Object.keys(TOOLS).join(", ")}`;
  const stamps = new Map<string, string>();
  for (const name of names) stamps.set(name, await stampOf(TOOLS[name]));
  const stale = names.filter((name) => !isBuilt(name, stamps.get(name)!));
  if (stale.length === 0) return undefined;
  if (which("go") === undefined) return "Go not found: the Hubble CLI, Relay and Helm cannot be built";
  await Deno.mkdir(OUT, { recursive: true });
  try {
    for (const name of stale) {
      const { module, pkg, ldflags } = TOOLS[name];
      console.error(`Building ${name} with Go`);
      await run("go", ["build", "-o", toolPath(name), "-buildvcs=false", "-ldflags", `-s -w ${ldflags}`, pkg], {
        cwd: MODULES + module,
        env: { CGO_ENABLED: "0" },
        timeoutMs: 30 * 60_000,
      });
      await Deno.writeTextFile(`${toolPath(name)}.stamp`, stamps.get(name)!);
    }
  } catch (error) {
    if (!(error instanceof CommandError)) throw error;
    return error.message;
  }
  return undefined;
}

/** Identifies the sources of a tool: how it is built, and the files of its own module; dependencies are pinned by go.sum. */
async function stampOf(tool: Tool): Promise<string> {
  const files: string[] = [];
  const collect = async (folder: string) => {
    for await (const entry of Deno.readDir(`${MODULES}${folder}`)) {
      const path = `${folder}${entry.name}`;
      if (!entry.isDirectory) files.push(path);
      else if (!Object.values(TOOLS).some(({ module }) => module === `${path}/`)) await collect(`${path}/`);
    }
  };
  await collect(tool.module);
  const texts = await Promise.all(files.sort().map((file) => Deno.readTextFile(MODULES + file)));
  const bytes = new TextEncoder().encode(texts.join("\0") + JSON.stringify(tool));
  return [...new Uint8Array(await crypto.subtle.digest("SHA-256", bytes))].map((b) => b.toString(16).padStart(2, "0"))
    .join("");
}

function isBuilt(name: string, stamp: string): boolean {
  try {
    return Deno.statSync(toolPath(name)).isFile && Deno.readTextFileSync(`${toolPath(name)}.stamp`) === stamp;
  } catch {
    return false;
  }
}

if (import.meta.main) {
  const problem = await buildTools(Deno.args.length > 0 ? Deno.args : undefined);
  if (problem !== undefined) console.error(problem);
  Deno.exit(problem === undefined ? 0 : 1);
}
