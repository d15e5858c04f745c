/** What the tests of this folder share: a small BPF object, and the reason why a machine cannot run a test. */

const clang = "clang";
const objects = new Map<string, Uint8Array>();

/** Why tests that load programs cannot run here, or undefined when they can. Printed by the tests that skip. */
export const kernelSkipReason: string | undefined = findSkipReason();

/** Skips a test with a printed reason. */
export function kernelTest(name: string, run: () => void | Promise<void>): void {
  if (kernelSkipReason !== undefined) console.log(`skipped: ${name}: ${kernelSkipReason}`);
  Deno.test({ name, ignore: kernelSkipReason !== undefined, fn: run });
}

/** Compiles `testdata/minimal.bpf.c`, once per variant. */
export function minimalObject(variant: "ring" | "perf" = "ring"): Uint8Array {
  let bytes = objects.get(variant);
  if (bytes === undefined) {
    const output = Deno.makeTempFileSync({ suffix: ".bpf.o" });
    try {
      const { success, stderr } = new Deno.Command(clang, {
        args: [
          ...["-O2", "-g", "-target", "bpf", "-I", `/usr/include/${Deno.build.arch}-linux-gnu`],
          ...variant === "perf" ? ["-DPERF"] : [],
          ...["-c", `${import.meta.dirname}/testdata/minimal.bpf.c`, "-o", output],
        ],
      }).outputSync();
      if (!success) throw new Error(`Compile minimal.bpf.c: ${new TextDecoder().decode(stderr)}`);
      bytes = Deno.readFileSync(output);
    } finally {
      Deno.removeSync(output);
    }
    objects.set(variant, bytes);
  }
  return bytes;
}

function findSkipReason(): string | undefined {
  if (Deno.uid() !== 0) return "not root";
  try {
    new Deno.Command(clang, { args: ["--version"] }).outputSync();
  } catch {
    return "no clang";
  }
  return undefined;
}
