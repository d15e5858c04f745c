import assert from "node:assert/strict";
import { CommandError, run, start, which } from "./process.ts";

Deno.test("run() returns output and feeds input", async () => {
  const output = await run("sh", ["-c", "cat; echo problem >&2"], { input: "hello\n" });
  assert.deepEqual(output, { code: 0, stdout: "hello\n", stderr: "problem\n" });
});

Deno.test("run() throws with the command and its last words", async () => {
  await assert.rejects(run("sh", ["-c", "echo why >&2; exit 3"]), (error: unknown) => {
    assert(error instanceof CommandError);
    assert.equal(error.output.code, 3);
    assert.match(error.message, /exited with code 3: sh -c .*\nwhy$/s);
    return true;
  });
});

Deno.test("run() returns a failure when the caller allows it", async () => {
  assert.equal((await run("sh", ["-c", "exit 7"], { allowFailure: true })).code, 7);
});

Deno.test("run() kills what takes too long", async () => {
  const begin = performance.now();
  await assert.rejects(run("sleep", ["30"], { timeoutMs: 100 }), /took longer than 100 ms/);
  assert(performance.now() - begin < 5000);
});

Deno.test("start() finds a line, also one printed before the wait, and stops", async () => {
  await using child = start("sh", ["-c", "echo one; echo two; exec sleep 30"]);
  assert.equal(await child.waitForLine((line) => line === "two"), "two");
  assert.equal(await child.waitForLine((line) => line === "one"), "one");
  const output = await child.stop();
  assert.equal(output.code, 143);
  assert.equal(output.stdout, "one\ntwo");
});

Deno.test("start() tells when the process ended before the line", async () => {
  await using child = start("sh", ["-c", "echo no >&2; exit 1"]);
  await assert.rejects(child.waitForLine(() => true), /ended before the expected line[^]*no/);
});

Deno.test("start() tells when the line does not come in time", async () => {
  await using child = start("sleep", ["30"]);
  await assert.rejects(child.waitForLine(() => true, { timeoutMs: 50 }), /within 50 ms/);
});

Deno.test("stop() kills what ignores the signal", async () => {
  await using child = start("sh", ["-c", "trap '' TERM; echo ready; while :; do sleep 0.05; done"]);
  await child.waitForLine((line) => line === "ready");
  assert.equal((await child.stop({ graceMs: 200 })).code, 137);
});

Deno.test("closeInput() tells a reader of standard input to finish", async () => {
  await using child = start("sh", ["-c", "cat; echo finished"]);
  await child.closeInput();
  assert.deepEqual(await child.ended, { code: 0, stdout: "finished", stderr: "" });
});

Deno.test("which() finds programs and no folders", () => {
  assert.match(which("sh") ?? "", /\/sh$/);
  assert.equal(which("bin", "/usr"), undefined);
  assert.equal(which("no-such-program"), undefined);
});
