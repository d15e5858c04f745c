import assert from "node:assert/strict";
import { createServer, type Server } from "node:net";
import { claimSocketPath, removeSocket } from "./unix_socket.ts";

async function withFolder(run: (folder: string) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir();
  try {
    await run(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

function serve(path: string): Promise<Server> {
  const server = createServer((socket) => socket.destroy());
  return new Promise((resolve) => server.listen(path, () => resolve(server)));
}

/** Leaves the file of a socket behind, as a killed process does. */
async function leaveStale(path: string): Promise<void> {
  const script = `Deno.listen({ transport: "unix", path: ${JSON.stringify(path)} }); Deno.kill(Deno.pid, "SIGKILL");`;
  await new Deno.Command(Deno.execPath(), { args: ["eval", script] }).output();
}

async function exists(path: string): Promise<boolean> {
  return await Deno.lstat(path).then(() => true, () => false);
}

Deno.test("claimSocketPath() accepts a path where nothing is", async () => {
  await withFolder((folder) => claimSocketPath(`${folder}/hubble.sock`));
});

Deno.test("claimSocketPath() removes a socket that nobody serves", async () => {
  await withFolder(async (folder) => {
    const path = `${folder}/hubble.sock`;
    await leaveStale(path);
    assert.ok((await Deno.lstat(path)).isSocket);
    await claimSocketPath(path);
    assert.equal(await exists(path), false);
  });
});

Deno.test("claimSocketPath() leaves a living process its socket", async () => {
  await withFolder(async (folder) => {
    const path = `${folder}/hubble.sock`;
    const server = await serve(path);
    await assert.rejects(claimSocketPath(path), {
      message: /another process serves it; stop it or choose another --hubble-socket$/,
    });
    assert.ok(await exists(path));
    await new Promise((resolve) => server.close(resolve));
  });
});

Deno.test("claimSocketPath() does not remove what is no socket", async () => {
  await withFolder(async (folder) => {
    const path = `${folder}/file`;
    await Deno.writeTextFile(path, "precious");
    await assert.rejects(claimSocketPath(path), { message: /the path is no socket/ });
    assert.equal(await Deno.readTextFile(path), "precious");
  });
});

Deno.test("removeSocket() does not mind that the file is gone", async () => {
  await withFolder((folder) => {
    removeSocket(`${folder}/no.sock`);
    return Promise.resolve();
  });
});
