import assert from "node:assert/strict";
import { type DebugServerOptions, isLoopback, json, type Probe, startDebugServer } from "./http.ts";

async function withServer(overrides: Partial<DebugServerOptions>, use: (base: string) => Promise<void>): Promise<void> {
  const server = startDebugServer({
    hostname: "127.0.0.1",
    port: 0,
    metrics: () => Promise.resolve({ body: "up 1\n", contentType: "text/plain; version=0.0.4" }),
    health: () => ({ ok: true, reasons: [] }),
    ready: () => ({ ok: true, reasons: [] }),
    debug: {},
    debugRemote: false,
    onError: () => {},
    ...overrides,
  });
  try {
    await use(`http://127.0.0.1:${server.address.port}`);
  } finally {
    await server.stop();
  }
}

async function get(url: string, init?: RequestInit): Promise<{ status: number; body: string; type: string | null }> {
  const response = await fetch(url, init);
  return { status: response.status, body: await response.text(), type: response.headers.get("content-type") };
}

Deno.test("startDebugServer() answers probes by their state, with every reason", async () => {
  let ready: Probe = { ok: false, reasons: ["gRPC not bound", "ring reader stalled"], details: ["eth0: attached"] };
  await withServer({ ready: () => ready }, async (base) => {
    assert.deepEqual(await get(`${base}/healthz`), { status: 200, body: "ok\n", type: "text/plain; charset=utf-8" });
    const failing = await get(`${base}/readyz`);
    assert.equal(failing.status, 503);
    assert.equal(failing.body, "gRPC not bound, ring reader stalled\neth0: attached\n");
    ready = { ok: true, reasons: [] };
    assert.equal((await get(`${base}/readyz`)).status, 200);
  });
});

Deno.test("startDebugServer() serves metrics under the registry's content type", async () => {
  await withServer({}, async (base) => {
    assert.deepEqual(await get(`${base}/metrics`), { status: 200, body: "up 1\n", type: "text/plain; version=0.0.4" });
  });
});

Deno.test("startDebugServer() names an unknown path, refuses other methods and lists what it serves", async () => {
  await withServer({ debug: { "/debug/config": () => json({ a: 1n }) } }, async (base) => {
    const missing = await get(`${base}/debug/nothing`);
    assert.equal(missing.status, 404);
    assert.match(missing.body, /\/debug\/nothing/);
    assert.equal((await get(`${base}/metrics`, { method: "POST" })).status, 405);
    assert.match((await get(`${base}/`)).body, /^\/debug\/config$/m);
    assert.deepEqual(JSON.parse((await get(`${base}/debug/config`)).body), { a: "1" });
    assert.equal((await get(`${base}/constructor`)).status, 404);
  });
});

Deno.test("startDebugServer() turns a failing handler into a 500 and goes on", async () => {
  const errors: string[] = [];
  const debug = { "/debug/mem": () => Promise.reject(new Error("no /proc here")) };
  await withServer({ debug, onError: (_error, path) => errors.push(path) }, async (base) => {
    const answer = await get(`${base}/debug/mem`);
    assert.equal(answer.status, 500);
    assert.match(answer.body, /no \/proc here/);
    assert.deepEqual(errors, ["/debug/mem"]);
    assert.equal((await get(`${base}/healthz`)).status, 200);
  });
});

Deno.test("startDebugServer() reports a taken port to its caller", async () => {
  await withServer({}, (base) => {
    const port = Number(new URL(base).port);
    assert.throws(() => {
      startDebugServer({
        hostname: "127.0.0.1",
        port,
        metrics: () => Promise.resolve({ body: "", contentType: "" }),
        health: () => ({ ok: true, reasons: [] }),
        ready: () => ({ ok: true, reasons: [] }),
        debug: {},
        debugRemote: false,
        onError: () => {},
      });
    }, Deno.errors.AddrInUse);
    return Promise.resolve();
  });
});

Deno.test("isLoopback() knows every loopback form and nothing else", () => {
  for (const yes of ["127.0.0.1", "127.9.8.7", "::1", "[::1]", "::ffff:127.0.0.1", "::FFFF:127.0.0.1"]) {
    assert.ok(isLoopback(yes), yes);
  }
  for (const no of ["10.0.0.1", "::", "::ffff:10.0.0.1", "1127.0.0.1", "fd00::1", "", "127.0.0.1.example"]) {
    assert.ok(!isLoopback(no), no);
  }
});
