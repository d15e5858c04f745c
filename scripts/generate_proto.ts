/**
 * Generates `proto/gen` from the `.proto` files, with npm packages alone.
 *
 *     deno run -A scripts/generate_proto.ts           write proto/gen
 *     deno run -A scripts/generate_proto.ts --check   exit 1 when proto/gen is not what the .proto files give
 *
 * The generated code is committed, so that nobody needs buf to build or run the agent; `--check` keeps it honest.
 */

// Not in deno.json: its packages are what the agent runs with, and buf alone weighs 50 MB.
const BUF = "npm:@bufbuild/buf@1.74.0/buf";
// The version of @bufbuild/protobuf in deno.json: generated code and library belong together.
const PLUGIN = "npm:@bufbuild/protoc-gen-es@2.17.0";

const PROTO = new URL("../proto/", import.meta.url).pathname;

/** Runs buf with `protoc-gen-es` as a Deno program, so that neither needs to be on PATH. */
async function generate(out: string): Promise<void> {
  const template = JSON.stringify({
    version: "v2",
    plugins: [{
      local: [Deno.execPath(), "run", "--no-config", "--no-lock", "-A", PLUGIN],
      out,
      opt: ["target=ts", "import_extension=ts"],
    }],
  });
  const { code, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "--no-config", "--no-lock", "-A", BUF, "generate", "--template", template],
    cwd: PROTO,
  }).output();
  if (code !== 0) {
    throw new Error(
      `Failed to generate code from ${PROTO}: buf exited with ${code}\n${new TextDecoder().decode(stderr)}`,
    );
  }
}

/** Every file below a folder: path relative to it, content. A folder that does not exist is empty. */
async function contents(folder: string, prefix = "", into = new Map<string, string>()): Promise<Map<string, string>> {
  try {
    for await (const entry of Deno.readDir(`${folder}/${prefix}`)) {
      const path = prefix + entry.name;
      if (entry.isDirectory) await contents(folder, `${path}/`, into);
      else into.set(path, await Deno.readTextFile(`${folder}/${path}`));
    }
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
  return into;
}

/** Paths whose content differs, or that only one of the two has. */
export function differences(a: Map<string, string>, b: Map<string, string>): string[] {
  const paths = new Set([...a.keys(), ...b.keys()]);
  return [...paths].filter((path) => a.get(path) !== b.get(path)).sort();
}

async function main(args: string[]): Promise<number> {
  const unknown = args.find((arg) => arg !== "--check");
  if (unknown !== undefined) {
    console.error(`Unknown argument ${unknown}: expected --check or nothing`);
    return 2;
  }
  const fresh = await Deno.makeTempDir();
  try {
    await generate(fresh);
    const target = `${PROTO}gen`;
    if (args.includes("--check")) {
      const stale = differences(await contents(fresh), await contents(target));
      for (const path of stale) console.error(`Stale generated file proto/gen/${path}: run deno task generate:proto`);
      return stale.length === 0 ? 0 : 1;
    }
    // A file whose .proto is gone must go too.
    await Deno.remove(target, { recursive: true }).catch((error) => {
      if (!(error instanceof Deno.errors.NotFound)) throw error;
    });
    for (const [path, text] of await contents(fresh)) {
      await Deno.mkdir(`${target}/${path}`.replace(/\/[^/]*$/, ""), { recursive: true });
      await Deno.writeTextFile(`${target}/${path}`, text);
    }
    return 0;
  } finally {
    await Deno.remove(fresh, { recursive: true });
  }
}

if (import.meta.main) Deno.exit(await main(Deno.args));
