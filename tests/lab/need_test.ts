import assert from "node:assert/strict";
import { built, kernel, program } from "./need.ts";

Deno.test("kernel() compares versions by number", () => {
  assert.equal(kernel(2, 6)(), undefined);
  assert.equal(kernel(4, 19)(), undefined);
  assert.match(kernel(999, 0)() ?? "", /^kernel: .* is older than 999\.0$/);
});

Deno.test("program() and built() name what is missing and the task that helps", () => {
  assert.equal(program("sh")(), undefined);
  assert.match(program("sh", "no-such-tool")() ?? "", /^machine: no-such-tool not found; run `deno task setup`$/);
  assert.equal(built("deno.json", "setup")(), undefined);
  assert.match(
    built("no/such.o", "build:ebpf")() ?? "",
    /^machine: no\/such\.o is not built; run `deno task build:ebpf`$/,
  );
});
