/**
 * `deno task check`: the one gate. Format, lint, types of everything, the import rules, the house rules that a machine
 * can see, and whether the generated protobuf code is what the .proto files give, and the chart's docs what its values give.
 * Exits with 1 when one fails.
 */
import { type Import, importsOf, violations } from "./imports.ts";
import { run } from "./process.ts";
import { houseViolations } from "./house_rules.ts";

const ROOT = new URL("../", import.meta.url);
const MINUTES = 60_000;

/** Runs a Deno subcommand in the repository; its output if it failed. */
async function deno(...args: string[]): Promise<string[]> {
  const output = await run(Deno.execPath(), args, {
    cwd: ROOT.pathname,
    timeoutMs: 10 * MINUTES,
    allowFailure: true,
    env: { NO_COLOR: "1" },
  });
  return output.code === 0 ? [] : [`${output.stdout}${output.stderr}`.trim()];
}

/** The TypeScript files of the repository that people wrote: those that git knows or would add. */
async function sources(): Promise<string[]> {
  const listed = await run("git", ["ls-files", "--cached", "--others", "--exclude-standard", "*.ts"], {
    cwd: ROOT.pathname,
  }).then((output) => output.stdout.split("\n"), () => [...walk(".")]);
  return [...new Set(listed)].filter((path) => path.endsWith(".ts") && exists(path)).sort();
}

/** For a copy without git, such as an unpacked archive. */
function* walk(folder: string): Generator<string> {
  for (const entry of Deno.readDirSync(new URL(`${folder}/`, ROOT))) {
    if (entry.name.startsWith(".") || ["node_modules", "dist", "coverage"].includes(entry.name)) continue;
    const path = folder === "." ? entry.name : `${folder}/${entry.name}`;
    if (entry.isDirectory) yield* walk(path);
    else yield path;
  }
}

function exists(path: string): boolean {
  try {
    return Deno.statSync(new URL(path, ROOT)).isFile;
  } catch {
    return false;
  }
}

/** All imports of the repository: one graph over a file that imports every source. */
async function allImports(paths: readonly string[]): Promise<Import[]> {
  const folder = await Deno.makeTempDir();
  try {
    const all = `${folder}/all.ts`;
    await Deno.writeTextFile(
      all,
      paths.map((path) => `import ${JSON.stringify(new URL(path, ROOT).href)};\n`).join(""),
    );
    const config = new URL("deno.json", ROOT).pathname;
    const output = await run(Deno.execPath(), ["info", "--json", "--config", config, all], { timeoutMs: 2 * MINUTES });
    return importsOf(JSON.parse(output.stdout), ROOT.href);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

async function main(): Promise<number> {
  const paths = await sources();
  const steps: Record<string, () => Promise<string[]>> = {
    format: () => deno("fmt", "--check"),
    lint: () => deno("lint"),
    types: () => deno("check", "--quiet", "."),
    "import rules": async () => violations(await allImports(paths)),
    "house rules": () => Promise.resolve(houseViolations(paths, (path) => Deno.readTextFileSync(new URL(path, ROOT)))),
    "generated code": () => deno("run", "-A", "scripts/generate_proto.ts", "--check"),
    "chart docs": () => deno("run", "-A", "scripts/chart_docs.ts", "--check"),
  };
  let failed = 0;
  for (const [name, step] of Object.entries(steps)) {
    const begin = performance.now();
    const problems = await step();
    const seconds = ((performance.now() - begin) / 1000).toFixed(1);
    console.log(`${problems.length === 0 ? "ok    " : "FAILED"}  ${name} (${seconds} s)`);
    problems.forEach((problem) => console.log(problem));
    if (problems.length > 0) failed++;
  }
  if (failed > 0) console.log(`check: ${failed} of ${Object.keys(steps).length} failed`);
  return failed === 0 ? 0 : 1;
}

if (import.meta.main) Deno.exit(await main());
