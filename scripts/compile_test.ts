import assert from "node:assert/strict";
import { explain } from "./compile.ts";

Deno.test("explain() tells what to do when denort cannot be fetched", () => {
  const text = explain(
    "retina-agent",
    "error: client error (Connect): dns error: https://download.example/release/x.zip",
  );
  assert.match(
    text,
    /^Failed to compile retina-agent: cannot download denort \d+\.\d+\.\d+, .* Set DENORT_BIN to the path/,
  );
  assert.match(text, /dns error/);
});

Deno.test("explain() keeps other errors as they are", () => {
  assert.equal(
    explain("retina-agent", "error: TS2322\n\nStack backtrace:\n   0: <unknown>\n"),
    "Failed to compile retina-agent\nerror: TS2322",
  );
});
