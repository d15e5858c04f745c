/**
 * Compiles the eBPF programs: `deno task build:ebpf`, or {@link buildBpf} for scripts and tests.
 *
 * `bpf/NAME.bpf.c` becomes `bpf/build/NAME.VARIANT.bpf.o`. Objects newer than every source are left alone.
 */

/** One way to compile a source. */
export interface Variant {
  readonly name: string;
  /**
   * Extra arguments for clang. `-mcpu=v3` needs kernel 5.1 and the ring buffer 5.8 anyway; the perf variant keeps to
   * the instruction set of kernel 4.19.
   */
  readonly flags: readonly string[];
}

const VARIANTS: readonly Variant[] = [
  { name: "ring", flags: ["-mcpu=v3"] },
  { name: "perf", flags: ["-mcpu=v2", "-DRETINA_PERF"] },
];

/** The objects that the build makes: source without `.bpf.c`, and its variants. */
export const TARGETS: Readonly<Record<string, readonly Variant[]>> = {
  packetparser: VARIANTS,
  baseline: [{ name: "ring", flags: ["-mcpu=v3"] }],
};

const PACKAGES = "clang llvm libbpf-dev linux-libc-dev";

/** Thrown when clang or a header is missing, or clang refuses a source. The message says what to do. */
export class BuildError extends Error {
  override readonly name = "BuildError";
}

/** Where the kernel's and libbpf's headers are. */
interface Includes {
  /** Directories for `-I`, beyond clang's own. */
  readonly directories: readonly string[];
}

async function exists(path: string): Promise<boolean> {
  try {
    await Deno.stat(path);
    return true;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}

/**
 * Finds the headers. clang knows `/usr/include`, but with `-target bpf` not the directory of `asm/types.h`, which
 * Debian keeps apart for each architecture.
 */
async function findHeaders(): Promise<Includes> {
  const multiarch = `/usr/include/${Deno.build.arch}-linux-gnu`;
  const found = [multiarch, "/usr/include"];
  for (const header of ["bpf/bpf_helpers.h", "linux/bpf.h", "asm/types.h"]) {
    const hits = await Promise.all(found.map((directory) => exists(`${directory}/${header}`)));
    if (hits.includes(true)) continue;
    throw new BuildError(
      `Cannot compile the eBPF programs: header "${header}" is not in ${found.join(" or ")}. ` +
        `Install it: apt-get install ${PACKAGES}`,
    );
  }
  return { directories: await exists(multiarch) ? [multiarch] : [] };
}

async function run(command: string, args: string[]): Promise<Deno.CommandOutput | undefined> {
  try {
    return await new Deno.Command(command, { args, stdout: "piped", stderr: "piped" }).output();
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
}

/** The newest change of anything that an object is made from, in milliseconds. */
async function newestSource(directory: string): Promise<number> {
  let newest = (await Deno.stat(new URL(import.meta.url))).mtime?.getTime() ?? 0;
  for await (const entry of Deno.readDir(directory)) {
    if (!/\.[ch]$/.test(entry.name)) continue;
    newest = Math.max(newest, (await Deno.stat(`${directory}/${entry.name}`)).mtime?.getTime() ?? 0);
  }
  return newest;
}

async function isUpToDate(object: string, newest: number): Promise<boolean> {
  return await exists(object) && ((await Deno.stat(object)).mtime?.getTime() ?? 0) >= newest;
}

/** Compiles one object beside its final name and renames it, so that nobody reads half an object. */
async function compile(clang: string, source: string, object: string, variant: Variant, includes: Includes) {
  const draft = `${object}.${crypto.randomUUID()}`;
  const args = ["-O2", "-g", "-Wall", "-Wextra", "-Wno-unused-parameter", "-target", "bpf"];
  args.push(...variant.flags, ...includes.directories.map((directory) => `-I${directory}`));
  const result = await run(clang, [...args, "-c", source, "-o", draft]);
  if (result === undefined) {
    throw new BuildError(
      `Cannot compile the eBPF programs: "${clang}" is not installed. Install it: apt-get install ${PACKAGES}`,
    );
  }
  const output = new TextDecoder().decode(result.stderr);
  if (!result.success) {
    throw new BuildError(`Cannot compile "${source}" (${variant.name}): clang says\n${output}`);
  }
  // No -Werror: another version of clang may warn of other things, and the object is good all the same.
  if (output !== "") console.warn(output.trimEnd());
  // DWARF is four fifths of the object and nobody reads it; BTF stays. Without llvm-strip the object is only bigger.
  await run("llvm-strip", ["-g", draft]);
  await Deno.rename(draft, object);
}

/** What {@link buildBpf} can be told. */
export interface BuildOptions {
  /** Folder of the sources; default: `bpf/` of this repository. */
  readonly directory?: string;
  /** The compiler; default: `$CLANG`, else `clang`. */
  readonly clang?: string;
  /** Called with each object's path and whether it was compiled (else it was up to date). */
  readonly onObject?: (path: string, compiled: boolean) => void;
}

/**
 * Compiles what is out of date and returns the paths of all objects.
 *
 * @throws {BuildError} when clang or a header is missing (the message has the apt command) or clang fails.
 */
export async function buildBpf(options: BuildOptions = {}): Promise<string[]> {
  const directory = options.directory ?? new URL("../bpf", import.meta.url).pathname;
  const clang = options.clang ?? Deno.env.get("CLANG") ?? "clang";
  const newest = await newestSource(directory);
  const objects: string[] = [];
  let includes: Includes | undefined;
  await Deno.mkdir(`${directory}/build`, { recursive: true });
  for (const [name, variants] of Object.entries(TARGETS)) {
    const source = `${directory}/${name}.bpf.c`;
    if (!await exists(source)) continue;
    for (const variant of variants) {
      const object = `${directory}/build/${name}.${variant.name}.bpf.o`;
      const compiled = !await isUpToDate(object, newest);
      if (compiled) {
        includes ??= await findHeaders();
        await compile(clang, source, object, variant, includes);
      }
      options.onObject?.(object, compiled);
      objects.push(object);
    }
  }
  return objects;
}

if (import.meta.main) {
  try {
    await buildBpf({ onObject: (path, compiled) => console.log(`${compiled ? "built" : "up to date"} ${path}`) });
  } catch (error) {
    if (!(error instanceof BuildError)) throw error;
    console.error(error.message);
    Deno.exit(1);
  }
}
