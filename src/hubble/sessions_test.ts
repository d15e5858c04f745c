import assert from "node:assert/strict";
import { createServer, type ServerHttp2Stream } from "node:http2";
import type { AddressInfo } from "node:net";
import { openSession, prefixed, rawCall } from "../../tests/interop/raw_call.ts";
import { silentClient } from "../../tests/interop/raw_tcp.ts";
import { DEFAULT_LIMITS, type Limits } from "./limits.ts";
import { Sessions } from "./sessions.ts";

/** A server that answers headers and leaves streams open. */
async function withSessions(limits: Partial<Limits>, run: (port: number, sessions: Sessions) => Promise<void>) {
  const sessions = new Sessions({ ...DEFAULT_LIMITS, ...limits });
  const server = createServer();
  server.on("session", (session) => sessions.add(session));
  server.on("stream", (stream) => {
    stream.on("error", () => {});
    (stream as ServerHttp2Stream).respond({ ":status": 200 });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  try {
    await run((server.address() as AddressInfo).port, sessions);
  } finally {
    sessions.destroy();
    await new Promise((resolve) => server.close(resolve));
  }
}

async function until(condition: () => boolean): Promise<void> {
  for (let i = 0; i < 4000 && !condition(); i++) await new Promise((resolve) => setTimeout(resolve, 5));
  assert.ok(condition(), String(condition));
}

Deno.test("Sessions closes a connection without calls", async () => {
  await withSessions({ idleMs: 60 }, async (port, sessions) => {
    const session = await openSession(`http://127.0.0.1:${port}`);
    const closed = new Promise((resolve) => session.once("close", resolve));
    await until(() => sessions.size === 1);
    await closed;
    await until(() => sessions.size === 0);
  });
});

Deno.test("Sessions keeps a connection with a quiet call, and pings it", async () => {
  await withSessions({ idleMs: 60, keepaliveMs: 40 }, async (port, sessions) => {
    const session = await openSession(`http://127.0.0.1:${port}`);
    let pings = 0;
    session.on("ping", () => pings++);
    const call = rawCall(session, "/", undefined, { with: (stream) => setTimeout(() => stream.close(8), 400) });
    await until(() => pings >= 3);
    assert.equal(sessions.size, 1);
    await call;
    session.destroy();
  });
});

Deno.test("Sessions closes a connection that does not answer a ping", async () => {
  await withSessions({ keepaliveMs: 40 }, async (port, sessions) => {
    const client = await silentClient(port, "/", prefixed(new Uint8Array()));
    await until(() => sessions.size === 1);
    await client.closed();
    await until(() => sessions.size === 0);
  });
});

Deno.test("Sessions refuses a connection too many, and takes the next when one is gone", async () => {
  await withSessions({ maxConnections: 2 }, async (port, sessions) => {
    const open = () => openSession(`http://127.0.0.1:${port}`);
    const [first, second] = await Promise.all([open(), open()]);
    await until(() => sessions.size === 2);
    const third = await open().catch(() => undefined);
    if (third !== undefined) await until(() => third.destroyed);
    assert.equal(sessions.size, 2);
    first.destroy();
    await until(() => sessions.size === 1);
    const fourth = await open();
    await until(() => sessions.size === 2);
    for (const session of [second, fourth]) session.destroy();
  });
});
