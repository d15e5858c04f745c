/** Shared libraries of a program, as the dynamic loader finds them. */
import { run, which } from "../../scripts/process.ts";

/** Paths in the output of ldd(1), the loader itself among them. @throws {Error} when a library is missing on this machine. */
export function parseLdd(output: string): string[] {
  const paths: string[] = [];
  for (const line of output.split("\n")) {
    const missing = /^\s*(\S+) => not found/.exec(line);
    if (missing !== null) throw new Error(`Cannot find shared library ${missing[1]}: install it`);
    const path = /(?:^|=>)\s*(\/\S+) \(0x/.exec(line)?.[1];
    if (path !== undefined) paths.push(path);
  }
  return paths;
}

/** Finds a library by its soname in the loader's cache, for libraries that a program opens by itself. */
export async function findLibrary(soname: string): Promise<string> {
  const { stdout } = await run(which("ldconfig") ?? "ldconfig", ["-p"]);
  for (const line of stdout.split("\n")) {
    const match = /^\s*(\S+) \(libc6,x86-64[^)]*\) => (\S+)/.exec(line);
    if (match?.[1] === soname) return match[2];
  }
  throw new Error(`Cannot find shared library ${soname}: install it (deno task setup)`);
}

/** All libraries that some programs or libraries need, without duplicates. */
export async function librariesOf(files: readonly string[]): Promise<string[]> {
  const libraries = new Set<string>();
  for (const file of files) {
    for (const path of parseLdd((await run("ldd", [file])).stdout)) libraries.add(path);
  }
  return [...libraries];
}
