/** Rules of this repository that need no module graph: the text of each file is enough. */

/** Longest file that people are asked to read, in lines. */
const MAX_LINES = 500;
/** Folders whose code machines wrote. */
const GENERATED = "proto/gen/";

/** One sentence for every broken rule. */
export function houseViolations(paths: readonly string[], read: (path: string) => string): string[] {
  return paths.filter((path) => !path.startsWith(GENERATED)).flatMap((path) => {
    const text = read(path);
    const found: string[] = [];
    const lines = text.split("\n").length - 1;
    if (lines > MAX_LINES) found.push(`${path} has ${lines} lines: split it, ${MAX_LINES} are the most`);
    if (isProduct(path) && !path.startsWith("ffi/")) {
      const pointer = /\bDeno\.(dlopen|Unsafe\w+)/.exec(text);
      if (pointer !== null) found.push(`${path} uses ${pointer[0]}: only ffi/ may touch libraries and pointers`);
    }
    return found;
  });
}

function isProduct(path: string): boolean {
  return /^(src\/|ffi\/|main\.ts$|operator\.ts$)/.test(path) && !path.endsWith("_test.ts");
}
