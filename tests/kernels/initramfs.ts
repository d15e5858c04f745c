/**
 * The guest's file system: busybox, Deno, `ip` and `ping` of this machine with their libraries, the guest program with the sources that it
 * imports, the eBPF objects, and the modules of one kernel. All of it lives in the guest's memory.
 */
import { run, which } from "../../scripts/process.ts";
import { type CpioEntry, writeCpio } from "./cpio.ts";
import { findLibrary, librariesOf } from "./libraries.ts";

const ROOT = new URL("../../", import.meta.url).pathname;
/** Where the repository lies in the guest. */
export const GUEST_ROOT = "retina";
/** Programs that the guest starts by path, which are in nobody's graph: the graph of each is copied. */
const PROGRAMS = [
  "tests/kernels/guest/main.ts",
  "tests/kernels/guest/case.ts",
  "tests/lab/tools/serve.ts",
  "tests/lab/tools/send.ts",
];
/** What Deno opens at run time and `ldd` does not see: Deno's FFI asks for libbpf. */
const OPENED = ["libbpf.so.1"];
/** Programs of this machine that the lab uses; `nsenter` and the rest come with busybox. */
const TOOLS = ["ip", "ping"];

/** Everything but the kernel's modules: the same for each guest. */
export async function commonEntries(busybox: string, objects: readonly string[]): Promise<CpioEntry[]> {
  const deno = await Deno.realPath(Deno.execPath());
  const tools = TOOLS.map((name) => {
    const path = which(name);
    if (path === undefined) throw new Error(`Cannot find program ${name}: install it (deno task setup)`);
    return path;
  });
  const opened = await Promise.all(OPENED.map(findLibrary));
  const libraries = [...new Set([...opened, ...await librariesOf([deno, ...tools, ...opened])])];
  const init = await Deno.readFile(new URL("guest/init.sh", import.meta.url));
  return [
    ...["proc", "sys", "dev", "tmp", "run", "root"].map((name): CpioEntry => ({ kind: "directory", name })),
    { kind: "link", name: "var/run", target: "/run" },
    // The kernel opens it for init before anything is mounted.
    { kind: "device", name: "dev/console", major: 5, minor: 1 },
    { kind: "file", name: "init", content: init, executable: true },
    await file("bin/busybox", busybox, true),
    await file("bin/deno", deno, true),
    ...await Promise.all(tools.map((path) => file(`bin/${path.slice(path.lastIndexOf("/") + 1)}`, path, true))),
    ...await Promise.all(libraries.map((path) => file(path.slice(1), path, true))),
    ...await Promise.all((await guestSources()).map((path) => file(`${GUEST_ROOT}/${path}`, ROOT + path, false))),
    ...await Promise.all(
      objects.map((path) => file(`${GUEST_ROOT}/bpf/build/${path.slice(path.lastIndexOf("/") + 1)}`, path, false)),
    ),
  ];
}

/** Writes the initial file system of one guest. */
export async function writeInitramfs(
  target: string,
  common: readonly CpioEntry[],
  modules: readonly string[],
): Promise<void> {
  const own = modules.map((path) => file(`modules/${path.slice(path.lastIndexOf("/") + 1)}`, path, false));
  using output = await Deno.open(target, { create: true, write: true, truncate: true });
  for (const piece of writeCpio([...common, ...await Promise.all(own)])) {
    for (let at = 0; at < piece.length;) at += output.writeSync(piece.subarray(at));
  }
}

async function file(name: string, path: string, executable: boolean): Promise<CpioEntry> {
  return { kind: "file", name, content: await Deno.readFile(path), executable };
}

/** Paths of the modules of the guest's programs, from the repository's root. @throws {Error} for an import that is no file. */
export async function guestSources(): Promise<string[]> {
  const paths = new Set<string>();
  for (const program of PROGRAMS) {
    const { stdout } = await run(Deno.execPath(), ["info", "--json", program], { cwd: ROOT, timeoutMs: 60_000 });
    const graph: { modules: { kind?: string; specifier: string; local?: string; error?: string }[] } = JSON.parse(
      stdout,
    );
    for (const { kind, specifier, local } of graph.modules) {
      if (specifier.startsWith("node:")) continue;
      if (kind !== "esm" || local === undefined || !local.startsWith(ROOT)) {
        throw new Error(
          `Cannot run ${program} in the guest: it imports ${specifier}, expected files of this repository`,
        );
      }
      paths.add(local.slice(ROOT.length));
    }
  }
  return [...paths].sort();
}
