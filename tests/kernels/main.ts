/**
 * `deno task test:kernels`: the eBPF programs on Debian's kernels, from the oldest supported to the newest packaged.
 *
 * Each kernel boots once in qemu with the same small file system; the guest program (`guest/main.ts`) loads both variants
 * with the agent's own loader, attaches in every mode that the kernel offers, and compares events with traffic.
 *
 *     deno task test:kernels                     all kernels
 *     deno task test:kernels 5.10 newest         some of them
 *     deno task test:kernels --update-docs       writes the table into docs/kernels.md as well
 *
 * Downloads and the console output of failed guests are kept below .cache/kernels.
 */
import { parseArgs } from "node:util";
import { buildBpf, BuildError } from "../../scripts/build_bpf.ts";
import { openApt } from "./apt.ts";
import type { CpioEntry } from "./cpio.ts";
import { boot, qemuMissing } from "./qemu.ts";
import { busybox, kernelImage } from "./image.ts";
import { commonEntries, writeInitramfs } from "./initramfs.ts";
import { formatTable, kernelComplaints, parseReports, replaceMatrix, type Row, rowsOf } from "./report.ts";

const ROOT = new URL("../../", import.meta.url).pathname;
const CACHE = `${ROOT}.cache/kernels`;
const DOCUMENT = `${ROOT}docs/kernels.md`;
const SERIES = ["5.10", "6.1", "6.12", "newest"];

const USAGE = `Usage: deno task test:kernels [options] [${SERIES.join("|")}]...

  --mirror URL      Debian archive to download from (default: this machine's apt sources)
  --update          fetch the package lists even if they are less than a day old
  --timeout SECONDS limit for each guest (default: 600)
  --update-docs     write the table into docs/kernels.md`;

interface Options {
  readonly series: readonly string[];
  readonly mirror?: string;
  readonly update: boolean;
  readonly timeoutMs: number;
  readonly updateDocs: boolean;
}

async function main(options: Options): Promise<number> {
  if (Deno.build.arch !== "x86_64") throw new Error("Cannot run the kernel matrix: expected an x86-64 machine");
  const missing = qemuMissing();
  if (missing !== undefined) throw new Error(missing);
  const objects = (await buildBpf()).filter((path) => path.includes("/packetparser."));
  await Deno.mkdir(CACHE, { recursive: true });
  await sweep();
  const { mirror, update } = options;
  const apt = await openApt({ folder: `${CACHE}/apt`, update, ...(mirror === undefined ? {} : { mirror }) });
  const common = await commonEntries(await busybox(apt, CACHE), objects);

  const rows: Row[] = [];
  for (const series of options.series) {
    const image = await kernelImage(apt, series, CACHE);
    if (image === undefined) {
      rows.push(...rowsOf(series, [], "no such kernel on the mirror"));
    } else if (rows.some((row) => row.kernel === image.version)) {
      console.error(`${series}: ${image.version} again, nothing to do`);
    } else rows.push(...await testKernel(image.version, image.kernel, image.modules, common, options.timeoutMs));
  }
  const table = formatTable(rows);
  console.log(table);
  if (options.updateDocs) {
    await Deno.writeTextFile(DOCUMENT, replaceMatrix(await Deno.readTextFile(DOCUMENT), table));
  }
  return rows.some((row) => row.result.startsWith("FAIL")) ? 1 : 0;
}

async function testKernel(
  version: string,
  kernel: string,
  modules: readonly string[],
  common: readonly CpioEntry[],
  timeoutMs: number,
): Promise<Row[]> {
  const folder = `${CACHE}/guest-${Deno.pid}`;
  await Deno.mkdir(folder);
  try {
    await writeInitramfs(`${folder}/initramfs`, common, modules);
    console.error(`${version}: booting`);
    const result = await boot({ kernel, initramfs: `${folder}/initramfs`, folder, timeoutMs });
    const reports = parseReports(result.report);
    const complaints = kernelComplaints(result.console);
    const problem = result.problem ??
      (complaints.length > 0 ? `kernel: ${complaints[0]}` : undefined) ??
      (reports.some((report) => report.kind === "end") ? undefined : "the guest program did not come to its end");
    const rows = rowsOf(version, reports, problem?.split("\n")[0]);
    console.error(`${version}: ${result.seconds.toFixed(0)} s`);
    if (rows.some((row) => row.result.startsWith("FAIL"))) {
      await Deno.mkdir(`${CACHE}/failed`, { recursive: true });
      const log = `${CACHE}/failed/${version}.log`;
      await Deno.writeTextFile(log, `${result.console}\n== report\n${result.report}\n== problem\n${problem ?? ""}\n`);
      for (const report of reports) {
        if (report.kind === "case" && report.result === "fail") {
          console.error(`\n${version} ${report.variant} ${report.mode}:\n${report.detail}`);
        }
      }
      console.error(`\n${version}: console output is in ${log}; its end:\n${result.console.trim().slice(-2000)}`);
    }
    return rows;
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

/** Removes what a killed run left: the folder of its guest. */
async function sweep(): Promise<void> {
  for await (const { name } of Deno.readDir(CACHE)) {
    const pid = /^guest-(\d+)$/.exec(name)?.[1];
    if (pid === undefined || await Deno.stat(`/proc/${pid}`).then(() => true, () => false)) continue;
    await Deno.remove(`${CACHE}/${name}`, { recursive: true });
  }
}

function readOptions(args: string[]): Options {
  const { values, positionals } = parseArgs({
    args,
    allowPositionals: true,
    options: {
      mirror: { type: "string" },
      update: { type: "boolean", default: false },
      timeout: { type: "string", default: "600" },
      "update-docs": { type: "boolean", default: false },
    },
  });
  const unknown = positionals.find((series) => !SERIES.includes(series));
  if (unknown !== undefined) throw new TypeError(`Unknown kernel ${unknown}: expected ${SERIES.join(", ")}`);
  const seconds = Number(values.timeout);
  if (!(seconds > 0)) throw new TypeError(`Bad --timeout ${values.timeout}: expected a number of seconds`);
  return {
    series: positionals.length > 0 ? positionals : SERIES,
    ...(values.mirror === undefined ? {} : { mirror: values.mirror }),
    update: values.update,
    timeoutMs: seconds * 1000,
    updateDocs: values["update-docs"],
  };
}

if (import.meta.main) {
  let options: Options;
  try {
    options = readOptions(Deno.args);
  } catch (error) {
    console.error(`${error instanceof Error ? error.message : error}\n\n${USAGE}`);
    Deno.exit(2);
  }
  try {
    Deno.exit(await main(options));
  } catch (error) {
    if (!(error instanceof Error)) throw error;
    console.error(error instanceof BuildError || !(error instanceof TypeError) ? error.message : error);
    Deno.exit(1);
  }
}
