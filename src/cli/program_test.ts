import assert from "node:assert/strict";

const program = new URL("./testdata/program.ts", import.meta.url).pathname;

function start(mode: string): Deno.ChildProcess {
  return new Deno.Command(Deno.execPath(), {
    args: ["run", "--no-prompt", program, mode],
    stdout: "piped",
    stderr: "piped",
    signal: AbortSignal.timeout(30_000),
  }).spawn();
}

async function run(mode: string): Promise<{ code: number; out: string; err: string }> {
  const { code, stdout, stderr } = await start(mode).output();
  const decode = (bytes: Uint8Array) => new TextDecoder().decode(bytes).trim();
  return { code, out: decode(stdout), err: decode(stderr) };
}

/** Waits for "ready", sends the signals, and gives the end of the program. */
async function signalled(
  mode: string,
  signals: Deno.Signal[],
  gapMs = 100,
): Promise<{ code: number; signal: string | null; out: string }> {
  const child = start(mode);
  const reader = child.stdout.pipeThrough(new TextDecoderStream()).getReader();
  let out = "";
  while (!out.includes("ready")) {
    const { value, done } = await reader.read();
    assert.ok(!done, "the program ended before it was ready");
    out += value;
  }
  for (const signal of signals) {
    child.kill(signal);
    await new Promise((resolve) => setTimeout(resolve, gapMs));
  }
  for (let chunk = await reader.read(); !chunk.done; chunk = await reader.read()) out += chunk.value;
  await child.stderr.cancel();
  const status = await child.status;
  return { code: status.code, signal: status.signal, out };
}

Deno.test("runProgram() maps errors to one line and an exit code", async () => {
  assert.deepEqual(await run("usage"), { code: 2, out: "", err: "sample: Cannot use --x" });
  assert.deepEqual(await run("environment"), { code: 1, out: "", err: "sample: Cannot listen: port taken" });
  assert.deepEqual(await run("help"), { code: 0, out: "usage: sample", err: "" });
});

Deno.test("runProgram() undoes its work and fails when an error was not caught", async () => {
  const { code, out, err } = await run("reject");
  assert.equal(code, 1);
  assert.equal(out, "undone");
  assert.match(err, /unhandled error: Error: nobody caught me/);
});

Deno.test("runProgram() stops in order on SIGTERM and SIGINT", async () => {
  for (const signal of ["SIGTERM", "SIGINT"] as const) {
    const end = await signalled("wait", [signal]);
    assert.equal(end.code, 0);
    assert.match(end.out, /undone/);
  }
});

Deno.test("runProgram() takes a signal that came twice at once for one", async () => {
  const end = await signalled("slow", ["SIGINT", "SIGINT"]);
  assert.equal(end.code, 0);
  assert.match(end.out, /undone/);
});

Deno.test("runProgram() gives in to a second signal", async () => {
  const end = await signalled("hang", ["SIGINT", "SIGINT"], 1500);
  assert.equal(end.code, 1);
  assert.doesNotMatch(end.out, /undone/);
});
