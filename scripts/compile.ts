/**
 * `deno task compile`: dist/retina-agent and dist/retina-operator, each one executable with the eBPF objects inside.
 * Deno puts the program behind its runtime `denort`, which it downloads once unless DENORT_BIN names one. Arguments are
 * passed on: `--target aarch64-unknown-linux-gnu`, `--frozen`.
 */
import { build } from "./dev.ts";
import { AGENT, OPERATOR } from "./permissions.ts";
import { run } from "./process.ts";
import { runScript, SetupError } from "./setup.ts";

const ROOT = new URL("../", import.meta.url).pathname;

/** The agent's eBPF objects; the others of bpf/build are the benches'. */
const TRANSPORTS = ["ring", "perf"] as const;
const objectPath = (transport: string) => `bpf/build/packetparser.${transport}.bpf.o`;

const PROGRAMS = [
  { name: "retina-agent", entry: "main.ts", permissions: AGENT, include: TRANSPORTS.map(objectPath) },
  { name: "retina-operator", entry: "operator.ts", permissions: OPERATOR, include: [] },
] as const;

async function main(): Promise<void> {
  const denort = Deno.env.get("DENORT_BIN");
  if (denort !== undefined && !await isFile(denort)) {
    throw new SetupError(
      `DENORT_BIN is "${denort}", which is no file: expected the denort of Deno ${Deno.version.deno}`,
    );
  }
  await build();
  const excluded = await unreadable();
  for (const { name, entry, permissions, include } of PROGRAMS) {
    if (!await isFile(ROOT + entry)) continue;
    const output = await run(Deno.execPath(), [
      "compile",
      "--exclude-unused-npm", // else every package of deno.lock goes into both
      ...Deno.args,
      ...permissions,
      ...include.flatMap((path) => ["--include", path]),
      ...excluded.flatMap((path) => ["--exclude", path]),
      "--output",
      `dist/${name}`,
      entry,
    ], { cwd: ROOT, timeoutMs: 10 * 60_000, allowFailure: true });
    if (output.code !== 0) {
      await removeDrafts();
      throw new SetupError(explain(name, output.stderr));
    }
    const { size } = await Deno.stat(`${ROOT}dist/${name}`);
    console.error(`Built dist/${name} (${(size / 1e6).toFixed(0)} MB)`);
  }
}

/** A failed `deno compile` leaves its empty output file. */
async function removeDrafts(): Promise<void> {
  for await (const { name } of Deno.readDir(`${ROOT}dist`)) {
    if (name.includes(".tmp-")) await Deno.remove(`${ROOT}dist/${name}`);
  }
}

/**
 * Test data of packages at which `deno compile` 2.9.6 overflows its stack: it reads files without a suffix as JavaScript,
 * and prom-client's bintrees has files of 100,000 lines of numbers, which it takes for one sum.
 */
async function unreadable(): Promise<string[]> {
  const { npmCache } = JSON.parse((await run(Deno.execPath(), ["info", "--json"])).stdout) as { npmCache: string };
  // The cache has a folder for each registry, whatever its name.
  const folders = (await directories(npmCache)).map((registry) => `${npmCache}/${registry}/bintrees`);
  const versions = await Promise.all(
    folders.map(async (folder) => (await directories(folder)).map((v) => `${folder}/${v}`)),
  );
  return versions.flat().map((version) => `${version}/test`);
}

async function directories(path: string): Promise<string[]> {
  const entries = await Array.fromAsync(Deno.readDir(path)).catch(() => []);
  return entries.filter((entry) => entry.isDirectory).map((entry) => entry.name);
}

/** What to tell when `deno compile` failed: the usual reason is that denort could not be fetched. */
export function explain(name: string, stderr: string): string {
  const text = stderr.split("\nStack backtrace")[0].trim();
  if (!/denort|client error \(Connect\)/.test(text)) return `Failed to compile ${name}\n${text}`;
  return `Failed to compile ${name}: cannot download denort ${Deno.version.deno}, the runtime that goes into the ` +
    `executable. Set DENORT_BIN to the path of a denort of this version, or give access to Deno's download server\n${text}`;
}

async function isFile(path: string): Promise<boolean> {
  return await Deno.stat(path).then((info) => info.isFile, () => false);
}

if (import.meta.main) await runScript(main);
