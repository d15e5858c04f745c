import assert from "node:assert/strict";
import { run } from "./process.ts";

const SETUP = new URL("setup.ts", import.meta.url).pathname;

Deno.test("setup tells in one line what is missing and the command that installs it", async () => {
  // With an empty PATH there is neither clang nor a package manager to install it.
  const output = await run(Deno.execPath(), ["run", "-A", SETUP], {
    env: { PATH: "/nonexistent" },
    allowFailure: true,
  });
  assert.equal(output.code, 1);
  assert.match(output.stderr, /^Not found: .*clang.*\. Install them, for example with: apt-get install .*clang.*\n$/);
});

Deno.test("setup is content where everything is there, and changes nothing", async () => {
  const folder = await Deno.makeTempDir();
  try {
    // Programs of these names stand for the real ones; the files are the machine's own, or setup says which it lacks.
    for (const name of ["clang", "ip", "nsenter", "ping", "openssl"]) {
      await Deno.writeTextFile(`${folder}/${name}`, "#!/bin/sh\nexit 1\n", { mode: 0o755 });
    }
    const output = await run(Deno.execPath(), ["run", "-A", SETUP], { env: { PATH: folder }, allowFailure: true });
    if (output.code === 0) assert.equal(output.stderr, "Everything is there\n");
    else assert.match(output.stderr, /^Not found: ((?!clang).)*\. Install/);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
