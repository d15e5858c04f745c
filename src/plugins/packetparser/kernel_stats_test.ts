import assert from "node:assert/strict";
import { STAT_NAMES } from "./kernel_stats.ts";

Deno.test("STAT_NAMES follows enum stat of bpf/stats.h", async () => {
  const header = await Deno.readTextFile(new URL("../../../bpf/stats.h", import.meta.url));
  const body = /enum stat \{([^}]*)\}/.exec(header)?.[1] ?? "";
  const names = [...body.matchAll(/^\s*STAT_(\w+),/gm)].map((match) => match[1].toLowerCase());
  assert.deepEqual(names, [...STAT_NAMES, "count"]);
});
