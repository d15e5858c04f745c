import assert from "node:assert/strict";
import { houseViolations } from "./house_rules.ts";

function check(path: string, text: string): string[] {
  return houseViolations([path], () => text);
}

Deno.test("houseViolations() limits the length of files that people wrote", () => {
  assert.deepEqual(check("src/flow/a.ts", "\n".repeat(500)), []);
  assert.match(check("src/flow/a.ts", "\n".repeat(501)).join(), /src\/flow\/a\.ts has 501 lines/);
  assert.deepEqual(check("proto/gen/flow/flow_pb.ts", "\n".repeat(9000)), []);
});

Deno.test("houseViolations() keeps pointers in ffi/", () => {
  assert.deepEqual(check("ffi/libc.ts", "Deno.dlopen(x)"), []);
  assert.match(check("src/plugins/a.ts", "Deno.dlopen(x)").join(), /uses Deno\.dlopen: only ffi\//);
  assert.match(check("src/plugins/a.ts", "Deno.UnsafePointer.of(x)").join(), /uses Deno\.UnsafePointer/);
  assert.deepEqual(check("src/plugins/a_test.ts", "Deno.dlopen(x)"), []);
});
