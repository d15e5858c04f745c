/** Kernels of the matrix: found in the package lists, downloaded, and cut down to the kernel and the modules that the guest loads. */
import { run } from "../../scripts/process.ts";
import type { Apt } from "./apt.ts";
import { loadOrder, moduleDependencies, normalName } from "./modules.ts";
import { chooseKernel, isKernelPart, KERNEL_METAPACKAGE, type Package } from "./packages.ts";

/** What the lab and the legacy attach mode use that a distribution may build as a module. */
const MODULES = ["veth", "bridge", "sch_ingress", "cls_bpf"];

const UNPACK_TIMEOUT = 120_000;

/** A kernel that can be booted. */
export interface KernelImage {
  /** What was asked for, for instance `6.1` or `newest`. */
  readonly series: string;
  /** Version of the package, for instance `6.1.176-1`. */
  readonly version: string;
  /** The bzImage. */
  readonly kernel: string;
  /** Uncompressed modules in the order to load them. */
  readonly modules: readonly string[];
}

/** The kernel of a series from the cache or, once, from the mirror. Undefined when no suite of the mirror has one. */
export async function kernelImage(apt: Apt, series: string, cache: string): Promise<KernelImage | undefined> {
  const meta = chooseKernel(await apt.show([KERNEL_METAPACKAGE]), series);
  if (meta === undefined) return undefined;
  const folder = `${cache}/images/${meta.version.replaceAll(/[^\w.+~-]/g, "_")}`;
  if (!await isFolder(folder)) {
    const parts = await kernelParts(apt, meta);
    const work = await Deno.makeTempDir({ dir: cache, prefix: "unpack-" });
    try {
      console.error(`Downloading ${parts.map((part) => part.name).join(", ")}`);
      await unpack(apt, parts, `${work}/tree`);
      await keep(`${work}/tree`, `${work}/image`);
      await Deno.mkdir(`${cache}/images`, { recursive: true });
      await Deno.rename(`${work}/image`, folder); // complete or not there
    } finally {
      await Deno.remove(work, { recursive: true });
    }
  }
  const modules = [...Deno.readDirSync(`${folder}/modules`)].map((entry) => `${folder}/modules/${entry.name}`).sort();
  return { series, version: meta.version, kernel: `${folder}/kernel`, modules };
}

/** One statically linked program that is a whole user land: the guest's shell, mount, insmod. */
export async function busybox(apt: Apt, cache: string): Promise<string> {
  const file = `${cache}/busybox`;
  if (await isFile(file)) return file;
  const [found] = await apt.show(["busybox-static"]);
  if (found === undefined) throw new Error("Cannot find the package busybox-static on the mirror");
  const work = await Deno.makeTempDir({ dir: cache, prefix: "unpack-" });
  try {
    await unpack(apt, [found], `${work}/tree`);
    const program = await isFile(`${work}/tree/bin/busybox`) ? "bin/busybox" : "usr/bin/busybox";
    await Deno.rename(`${work}/tree/${program}`, file);
  } finally {
    await Deno.remove(work, { recursive: true });
  }
  return file;
}

/** The packages behind the metapackage that hold files of the kernel. */
async function kernelParts(apt: Apt, meta: Package): Promise<Package[]> {
  const parts = new Map<string, Package>();
  for (let names = meta.depends.filter(isKernelPart); names.length > 0;) {
    const found = (await apt.show(names)).filter((one) => one.version === meta.version);
    for (const one of found) parts.set(one.name, one);
    names = found.flatMap((one) => one.depends).filter((name) => isKernelPart(name) && !parts.has(name));
  }
  if (parts.size === 0) throw new Error(`Cannot find the packages of kernel ${meta.version} on the mirror`);
  return [...parts.values()];
}

async function unpack(apt: Apt, packages: readonly Package[], target: string): Promise<void> {
  const folder = `${target}.packages`;
  await Deno.mkdir(folder);
  await apt.download(packages, folder);
  for await (const { name } of Deno.readDir(folder)) {
    await run("dpkg-deb", ["--extract", `${folder}/${name}`, target], { timeoutMs: UNPACK_TIMEOUT });
  }
}

/** Takes the kernel and the wanted modules out of an unpacked package, and numbers the modules in their order. */
async function keep(tree: string, target: string): Promise<void> {
  const files = await listFiles(tree);
  const kernel = files.find((file) => /\/vmlinuz[^/]*$/.test(file));
  if (kernel === undefined) throw new Error("Cannot find the kernel in its package: expected a file named vmlinuz-*");
  const modules = new Map(files.filter((file) => /\.ko(\.\w+)?$/.test(file)).map((file) => [normalName(file), file]));
  await Deno.mkdir(`${target}/modules`, { recursive: true });
  await Deno.rename(kernel, `${target}/kernel`);

  const contents = new Map<string, Uint8Array>();
  for (const name of MODULES) await readWithDependencies(name, modules, contents);
  const order = loadOrder(MODULES, (name) => {
    const content = contents.get(name);
    return content === undefined ? undefined : moduleDependencies(content);
  });
  for (const [index, name] of order.entries()) {
    const content = contents.get(name);
    if (content === undefined) continue;
    await Deno.writeFile(`${target}/modules/${`${index}`.padStart(2, "0")}-${name}.ko`, content);
  }
}

async function readWithDependencies(
  name: string,
  files: ReadonlyMap<string, string>,
  contents: Map<string, Uint8Array>,
): Promise<void> {
  const file = files.get(name);
  if (file === undefined || contents.has(name)) return;
  if (/\.xz$/.test(file)) await run("xz", ["--decompress", file]);
  if (/\.zst$/.test(file)) await run("zstd", ["--decompress", "--quiet", "--rm", file]);
  const content = await Deno.readFile(file.replace(/\.(xz|zst)$/, ""));
  contents.set(name, content);
  for (const one of moduleDependencies(content)) await readWithDependencies(one, files, contents);
}

async function listFiles(folder: string): Promise<string[]> {
  const files: string[] = [];
  for await (const entry of Deno.readDir(folder)) {
    const path = `${folder}/${entry.name}`;
    if (entry.isDirectory) files.push(...await listFiles(path));
    else if (entry.isFile) files.push(path);
  }
  return files;
}

async function isFile(path: string): Promise<boolean> {
  return await Deno.stat(path).then((info) => info.isFile, () => false);
}

async function isFolder(path: string): Promise<boolean> {
  return await Deno.stat(path).then((info) => info.isDirectory, () => false);
}
