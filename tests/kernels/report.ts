/** What a guest reports, and the table that the task prints. The guest writes one JSON object a line to its second serial line. */

/** How one variant of the programs did in one attach mode. */
export interface CaseReport {
  readonly kind: "case";
  readonly variant: string;
  readonly mode: string;
  /** `absent`: this kernel does not offer the mode or the transport, as expected of its version. */
  readonly result: "pass" | "fail" | "absent";
  /** Why it failed or is absent; several lines. */
  readonly detail: string;
  /** Milliseconds that opening, verifying and loading took; absent when it did not come so far. */
  readonly loadMs?: number;
  /** Events read, and packets that the devices counted meanwhile. */
  readonly events?: number;
  readonly packets?: number;
}

/** The guest's last line: without it the guest died on the way. */
export interface EndReport {
  readonly kind: "end";
  /** As `uname -r` says. */
  readonly release: string;
  readonly cpus: number;
}

export type Report = CaseReport | EndReport;

/** Reads the guest's lines. Anything else on the line, as a firmware might print, is passed over. */
export function parseReports(text: string): Report[] {
  return text.split(/[\r\n]+/).flatMap((line) => {
    try {
      const value: unknown = JSON.parse(line);
      return isReport(value) ? [value] : [];
    } catch {
      return [];
    }
  });
}

function isReport(value: unknown): value is Report {
  return typeof value === "object" && value !== null && "kind" in value &&
    (value.kind === "case" || value.kind === "end");
}

/** Lines of a kernel's console that must not be there, whatever the tests say. */
export function kernelComplaints(console: string): string[] {
  const bad = /\b(BUG|Oops|WARNING|INFO: (task|rcu)|general protection fault|Kernel panic|Out of memory|soft lockup)\b/;
  return console.split(/\r?\n/).filter((line) => bad.test(line)).map((line) => line.trim());
}

/** One line of the table. */
export interface Row {
  /** Version of the package, for instance `6.1.192-2`. */
  readonly kernel: string;
  readonly variant: string;
  readonly mode: string;
  /** `pass`, `FAIL: …`, `not in this kernel`, … */
  readonly result: string;
  readonly load: string;
  readonly events: string;
  readonly packets: string;
}

const HEADINGS: Readonly<Record<keyof Row, string>> = {
  kernel: "kernel",
  variant: "variant",
  mode: "attach mode",
  result: "result",
  load: "load",
  events: "events",
  packets: "packets",
};

/** Rows of one guest. A guest that did not end properly adds a row that says so. */
export function rowsOf(kernel: string, reports: readonly Report[], problem: string | undefined): Row[] {
  const rows = reports.filter((report) => report.kind === "case").map((report): Row => ({
    kernel,
    variant: report.variant,
    mode: report.mode,
    result: resultText(report),
    load: report.loadMs === undefined ? "" : `${Math.round(report.loadMs)} ms`,
    events: `${report.events ?? ""}`,
    packets: `${report.packets ?? ""}`,
  }));
  if (problem !== undefined) {
    const empty = { load: "", events: "", packets: "" };
    rows.push({ kernel, variant: "–", mode: "–", result: `FAIL: ${problem}`, ...empty });
  }
  return rows;
}

function resultText(report: CaseReport): string {
  if (report.result === "pass") return "pass";
  if (report.result === "absent") return "not in this kernel";
  return `FAIL: ${report.detail.split("\n")[0].slice(0, 100)}`;
}

/** A Markdown table with aligned columns, readable in a terminal as well. */
export function formatTable(rows: readonly Row[]): string {
  const keys = Object.keys(HEADINGS) as (keyof Row)[];
  const cell = (text: string) => text.replaceAll("|", "\\|");
  const widths = keys.map((key) => Math.max(HEADINGS[key].length, ...rows.map((row) => cell(row[key]).length)));
  const line = (cells: readonly string[]) =>
    `| ${cells.map((text, index) => text.padEnd(widths[index])).join(" | ")} |`;
  return [
    line(keys.map((key) => HEADINGS[key])),
    `| ${widths.map((width) => "-".repeat(width)).join(" | ")} |`,
    ...rows.map((row) => line(keys.map((key) => cell(row[key])))),
  ].join("\n");
}

const BEGIN = "<!-- matrix -->";
const END = "<!-- /matrix -->";

/** Puts text between the two marks of a document. @throws {Error} when the document has no such marks. */
export function replaceMatrix(document: string, text: string): string {
  const begin = document.indexOf(BEGIN);
  const end = document.indexOf(END);
  if (begin < 0 || end < begin) throw new Error(`Cannot find ${BEGIN} and ${END} in the document`);
  return `${document.slice(0, begin)}${BEGIN}\n\n${text}\n\n${document.slice(end)}`;
}
