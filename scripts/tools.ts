/**
 * Builds the Go programs that the interop tests run the agent against (tests/tools), once, into .cache/tools.
 *
 *     deno run -A scripts/tools.ts [NAME...]       default: all
 */
import { CommandError, run, which } from "./process.ts";

const MODULE = new URL("../tests/tools/", import.meta.url).pathname;
const OUT = new URL("../.cache/tools/", import.meta.url).pathname;

/** Program name, Go package, and the variables that its build sets. */
const TOOLS: Readonly<Record<string, { readonly pkg: string; readonly ldflags: string }>> = {
  hubble: {
    pkg: "github.com/cilium/cilium/hubble",
    ldflags: "-X github.com/cilium/cilium/hubble/pkg.Version=v1.19.4",
  },
  "hubble-relay": { pkg: "github.com/cilium/cilium/hubble-relay", ldflags: "" },
  streamclient: { pkg: "./streamclient", ldflags: "" },
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
  const stamp = await moduleStamp();
  const stale = names.filter((name) => !isBuilt(name, stamp));
  if (stale.length === 0) return undefined;
  if (which("go") === undefined) return "Go not found: the Hubble CLI and Relay cannot be built";
  await Deno.mkdir(OUT, { recursive: true });
  try {
    for (const name of stale) {
      const { pkg, ldflags } = TOOLS[name];
      console.error(`Building ${name} with Go`);
      await run("go", ["build", "-o", toolPath(name), "-buildvcs=false", "-ldflags", `-s -w ${ldflags}`, pkg], {
        cwd: MODULE,
        env: { CGO_ENABLED: "0" },
        timeoutMs: 30 * 60_000,
      });
      await Deno.writeTextFile(`${toolPath(name)}.stamp`, stamp);
    }
  } catch (error) {
    if (!(error instanceof CommandError)) throw error;
    return error.message;
  }
  return undefined;
}

/** Identifies the sources: the module's own files; dependencies are pinned by go.sum. */
async function moduleStamp(): Promise<string> {
  const files: string[] = [];
  const collect = async (folder: string) => {
    for await (const entry of Deno.readDir(`${MODULE}${folder}`)) {
      if (entry.isDirectory) await collect(`${folder}${entry.name}/`);
      else files.push(`${folder}${entry.name}`);
    }
  };
  await collect("");
  const texts = await Promise.all(files.sort().map((file) => Deno.readTextFile(MODULE + file)));
  const bytes = new TextEncoder().encode(texts.join("\0") + JSON.stringify(TOOLS));
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
