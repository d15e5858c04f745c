/**
 * `deno task test`: set-up, eBPF build, the check gate, and every test. The last line of the output is the count.
 *
 *     deno task test                   everything
 *     deno task test src/flow          only the tests below these paths, without the gate
 *
 * With RETINA_TEST_STRICT=1 (.ci/run) a skipped test is a failure, unless the reason is the kernel's.
 */
import { sweepAbandoned } from "../tests/lab/owner.ts";
import { avoidableSkips, readReport, sum, type TestCounts } from "./junit.ts";
import { runScript, setup } from "./setup.ts";
import { buildTools } from "./tools.ts";

const ROOT = new URL("../", import.meta.url).pathname;
const REPORTS = `${ROOT}.cache/test`;

/** Runs Deno with the terminal as it is; its exit code. */
async function deno(args: readonly string[]): Promise<number> {
  const child = new Deno.Command(Deno.execPath(), { args: [...args], cwd: ROOT, stdin: "null" }).spawn();
  return (await child.status).code;
}

/** Runs one `deno test` and counts from its report. */
async function test(name: string, args: readonly string[]): Promise<TestCounts> {
  const report = `${REPORTS}/${name}.xml`;
  await Deno.mkdir(REPORTS, { recursive: true });
  await Deno.remove(report).catch(() => {});
  console.log(`\n== ${name} tests`);
  const code = await deno([
    "test",
    "-A",
    "--no-check",
    "--hide-stacktraces",
    "--permit-no-files",
    `--junit-path=${report}`,
    ...args,
  ]);
  const counts = await Deno.readTextFile(report).then(readReport, () => ({ passed: 0, failed: 0, skipped: [] }));
  if (code === 0 || counts.failed > 0) return counts;
  console.log(`== ${name} tests: deno test exited with ${code} although no test failed; counted as a failure`);
  return { ...counts, failed: 1 };
}

async function main(): Promise<number> {
  // A root shell opened with `su` has no /usr/sbin on Debian, where ip and tc live; the tests call them by name.
  Deno.env.set("PATH", `${Deno.env.get("PATH") ?? "/usr/bin:/bin"}:/usr/sbin:/sbin`);
  const strict = Deno.env.get("RETINA_TEST_STRICT") === "1";
  const paths = Deno.args;
  await setup(["run", "build", "lab"]);
  // A failed step does not stop the tests: one run tells everything. It counts as a failure.
  const broken: string[] = [];
  if (await deno(["run", "-A", "scripts/build_bpf.ts"]) !== 0) broken.push("build:ebpf");
  if (paths.length === 0 && await deno(["run", "-A", "scripts/check.ts"]) !== 0) broken.push("check");
  const lacking = await buildTools();
  if (lacking !== undefined) console.log(`Interop and chart tests are skipped: ${lacking}`);

  const groups = paths.length > 0
    ? [await test("selected", paths)]
    // The kernel tests use the CPU and the machine's namespaces; they come second, alone.
    : [await test("unit", ["--ignore=tests"]), await test("system", ["tests"])];
  await sweepAbandoned();
  const { passed, failed, skipped } = sum([...groups, { passed: 0, failed: broken.length, skipped: [] }]);

  console.log();
  skipped.forEach((name) => console.log(`skipped: ${name}`));
  const avoidable = avoidableSkips(skipped);
  if (avoidable.length > 0) {
    console.log(`${avoidable.length} skipped tests could run on this kernel: see \`deno task setup\``);
  }
  broken.forEach((name) => console.log(`failed: deno task ${name}`));
  console.log(`${passed} passed, ${failed} failed, ${skipped.length} skipped`);
  return failed > 0 || (strict && avoidable.length > 0) ? 1 : 0;
}

// Ctrl-C reaches the tests as well; this waits for their end and cleans up after them.
Deno.addSignalListener("SIGINT", () => {});
await runScript(main);
