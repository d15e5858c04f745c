import assert from "node:assert/strict";

/**
 * Runs a program that opens many streams, cancels them, and lets one side send GOAWAY on the then idle connection; several times,
 * because what freed memory holds is a matter of luck.
 */
async function survives(closer: "client" | "server"): Promise<boolean> {
  const program = `
    import { connect, createServer } from "node:http2";
    import { guardSessions } from ${JSON.stringify(new URL("./guard.ts", import.meta.url).href)};
    guardSessions();
    const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
    const sessions = new Set();
    const server = createServer({ settings: { maxConcurrentStreams: 1000 } });
    server.on("session", (session) => sessions.add(session.on("error", () => {})));
    server.on("stream", (stream) => {
      stream.on("error", () => {});
      stream.respond({ ":status": 200 });
      stream.write("x");
    });
    await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
    for (let round = 0; round < 5; round++) {
      const client = connect("http://127.0.0.1:" + server.address().port);
      client.on("error", () => {});
      const streams = Array.from({ length: 190 + round }, () => client.request({ ":method": "POST" }).on("error", () => {}));
      await Promise.all(streams.map((stream) => new Promise((resolve) => stream.once("data", resolve))));
      for (const stream of streams) stream.close(8);
      await sleep(50);
      if (${closer === "client"}) client.close();
      else for (const session of sessions) session.close();
      await sleep(50);
    }
    Deno.exit(0);
  `;
  const { success } = await new Deno.Command(Deno.execPath(), {
    args: ["eval", "--no-check", program],
    stderr: "null",
    stdout: "null",
  }).output();
  return success;
}

for (const closer of ["client", "server"] as const) {
  Deno.test(`guardSessions() survives the GOAWAY of a ${closer}`, async () => {
    assert.ok(await survives(closer));
  });
}
