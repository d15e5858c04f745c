/** The guest's program: a fresh lab for each variant, and the tests of the variant inside of its node. Prints reports on standard output. */
import { onlineCpuCount } from "../../../ffi/system.ts";
import { createLab } from "../../lab/lab.ts";
import type { CaseReport, EndReport } from "../report.ts";
import { hostNames, type LabNames } from "./scene.ts";

/** The host bounds the whole guest; this only lets the second variant have its turn when the first one hangs. */
const VARIANT_TIMEOUT = 280_000;

for (const variant of ["ring", "perf"] as const) {
  try {
    await using lab = await createLab({ pods: 2 });
    const names: LabNames = { pods: lab.pods.map(hostNames), client: hostNames(lab.client) };
    const program = new URL("case.ts", import.meta.url).pathname;
    const { stdout } = await lab.node.runDeno(["-A", "--no-check", program, variant, JSON.stringify(names)], {
      timeoutMs: VARIANT_TIMEOUT,
    });
    console.log(stdout.trimEnd());
  } catch (error) {
    const detail = error instanceof Error ? error.message : `${error}`;
    console.log(JSON.stringify({ kind: "case", variant, mode: "–", result: "fail", detail } satisfies CaseReport));
  }
}
console.log(JSON.stringify({ kind: "end", release: Deno.osRelease(), cpus: onlineCpuCount() } satisfies EndReport));
