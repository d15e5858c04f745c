import assert from "node:assert/strict";
import { EnvironmentError, TextRequested, UsageError } from "../cli/errors.ts";
import { detach } from "./detach.ts";

Deno.test("detach() says what it removed", () => {
  const lines: string[] = [];
  detach([], (line) => lines.push(line), () => [{ interface: "eth0", direction: "ingress" }]);
  detach([], (line) => lines.push(line), () => []);
  assert.deepEqual(lines, ["Removed the ingress filter on eth0", "Nothing to remove"]);
});

Deno.test("detach() takes no arguments and explains itself", () => {
  const never = () => assert.fail("must not touch the kernel");
  assert.throws(
    () => detach(["eth0"], assert.fail, never),
    (e: unknown) => e instanceof UsageError && /"eth0"/.test(e.message),
  );
  assert.throws(() => detach(["--help"], assert.fail, never), TextRequested);
});

Deno.test("detach() reports what the kernel refused in one line", () => {
  const refuse = () => {
    throw new Error("Cannot list filters:\n EPERM");
  };
  assert.throws(
    () => detach([], () => {}, refuse),
    (e: unknown) => e instanceof EnvironmentError && /EPERM/.test(e.message) && !e.message.includes("\n"),
  );
});
