/** Reads the JUnit report of `deno test`: the counts, and which tests were skipped. */

export interface TestCounts {
  readonly passed: number;
  readonly failed: number;
  /** Names of the tests that did not run. */
  readonly skipped: readonly string[];
}

/** Counts the cases of a report; a test's steps are cases of their own. */
export function readReport(xml: string): TestCounts {
  let passed = 0;
  let failed = 0;
  const skipped: string[] = [];
  for (const [, attributes, body] of xml.matchAll(/<testcase\b([^>]*?)(?:\/>|>([^]*?)<\/testcase>)/g)) {
    if (/<(failure|error)\b/.test(body ?? "")) failed++;
    else if (/<skipped\b/.test(body ?? "")) skipped.push(unescape(/\bname="([^"]*)"/.exec(attributes)?.[1] ?? ""));
    else passed++;
  }
  return { passed, failed, skipped };
}

function unescape(text: string): string {
  const entities: Record<string, string> = { lt: "<", gt: ">", quot: '"', apos: "'", amp: "&" };
  return text.replace(/&(?:#(\d+)|#x([0-9a-f]+)|(\w+));/gi, (whole, decimal, hex, name) => {
    if (decimal) return String.fromCodePoint(Number(decimal));
    if (hex) return String.fromCodePoint(parseInt(hex, 16));
    return entities[name] ?? whole;
  });
}

/** The sum of several reports. */
export function sum(all: readonly TestCounts[]): TestCounts {
  return {
    passed: all.reduce((total, one) => total + one.passed, 0),
    failed: all.reduce((total, one) => total + one.failed, 0),
    skipped: all.flatMap((one) => one.skipped),
  };
}

/** Skipped tests that this machine's kernel could have run: what was missing is not the kernel's (see tests/lab/need.ts). */
export function avoidableSkips(skipped: readonly string[]): string[] {
  return skipped.filter((name) => !name.includes("[skipped: kernel:"));
}
