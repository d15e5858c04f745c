import assert from "node:assert/strict";
import { createServer, type ServerHttp2Stream } from "node:http2";
import { type AddressInfo, createServer as createTcpServer, type Socket } from "node:net";
import { gzipSync } from "node:zlib";
import fc from "fast-check";
import { FrameParser, streamMessages } from "./grpc_stream.ts";

function frame(message: Uint8Array, packed: boolean): Uint8Array {
  const body = packed ? gzipSync(message) : message;
  const out = new Uint8Array(5 + body.length);
  out[0] = packed ? 1 : 0;
  new DataView(out.buffer).setUint32(1, body.length);
  out.set(body, 5);
  return out;
}

Deno.test("FrameParser gives the messages back however the bytes are cut", () => {
  const message = fc.tuple(fc.uint8Array({ maxLength: 40 }), fc.boolean());
  fc.assert(fc.property(fc.array(message, { maxLength: 8 }), fc.infiniteStream(fc.nat(20)), (messages, cuts) => {
    const bytes = messages.flatMap(([body, packed]) => [...frame(body, packed)]);
    const parser = new FrameParser(1000);
    const out: number[][] = [];
    for (let at = 0; at < bytes.length;) {
      const next = at + cuts.next().value!;
      for (const one of parser.push(Uint8Array.from(bytes.slice(at, next)))) out.push([...one]);
      at = next;
    }
    assert.deepEqual(out, messages.map(([body]) => [...body]));
  }));
});

Deno.test("FrameParser refuses a message that is too large, packed or not", () => {
  assert.throws(() => [...new FrameParser(10).push(frame(new Uint8Array(11), false))], /a message of 11 bytes/);
  assert.throws(() => [...new FrameParser(100).push(frame(new Uint8Array(5000), true))], RangeError);
});

/** Messages and end of a call to a server that behaves as told. */
async function call(
  serve: (stream: ServerHttp2Stream) => void,
  options: { pingMs?: number } = {},
): Promise<{ messages: number[][]; error: string }> {
  const server = createServer();
  const sessions = new Set<{ destroy(): void }>();
  server.on("session", (session) => sessions.add(session));
  server.on("stream", (stream) => {
    stream.on("error", () => {});
    serve(stream as ServerHttp2Stream);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const messages: number[][] = [];
  let error = "";
  try {
    for await (const message of streamMessages({ ...CALL, url, pingMs: options.pingMs ?? 10_000 })) {
      messages.push([...message]);
    }
  } catch (caught) {
    error = caught instanceof Error ? caught.message : String(caught);
  } finally {
    for (const session of sessions) session.destroy();
    await new Promise<void>((resolve) => server.close(() => resolve()));
  }
  return { messages, error };
}

const CALL = {
  path: "/a.B/C",
  request: new Uint8Array([1, 2]),
  tls: {},
  connectMs: 2000,
  maxMessage: 1000,
  signal: new AbortController().signal,
};

function answer(stream: ServerHttp2Stream, trailers: Record<string, string>, ...messages: number[][]): void {
  stream.respond({ ":status": 200, "content-type": "application/grpc" }, { waitForTrailers: true });
  stream.on("wantTrailers", () => stream.sendTrailers(trailers));
  for (const message of messages) stream.write(frame(Uint8Array.from(message), false));
  stream.end();
}

Deno.test("streamMessages() gives messages and ends with the status", async () => {
  assert.deepEqual(await call((stream) => answer(stream, { "grpc-status": "0" }, [1], [2, 3])), {
    messages: [[1], [2, 3]],
    error: "",
  });
  const failed = await call((stream) => answer(stream, { "grpc-status": "14", "grpc-message": "not%20now" }, [1]));
  assert.deepEqual(failed, { messages: [[1]], error: "not now" });
  const bare = await call((stream) => stream.respond({ ":status": 200, "grpc-status": "12" }, { endStream: true }));
  assert.equal(bare.error, "gRPC status 12");
});

Deno.test("streamMessages() says what is wrong with a server that is none", async () => {
  assert.match(
    (await call((stream) => stream.respond({ ":status": 404 }, { endStream: true }))).error,
    /HTTP status 404/,
  );
  assert.notEqual((await call((stream) => stream.session?.destroy())).error, "");
  const sockets: Socket[] = [];
  const silent = createTcpServer((socket) => void sockets.push(socket.on("error", () => {})));
  await new Promise<void>((resolve) => silent.listen(0, "127.0.0.1", resolve));
  const url = `http://127.0.0.1:${(silent.address() as AddressInfo).port}`;
  await assert.rejects(async () => {
    for await (const _ of streamMessages({ ...CALL, url, pingMs: 50 })) { /* nothing comes */ }
  }, /no answer to a ping within 0.05 s/);
  for (const socket of sockets) socket.destroy();
  await new Promise<void>((resolve) => silent.close(() => resolve()));
});

Deno.test("streamMessages() ends when it is told to, before and while it connects", async () => {
  const stop = new AbortController();
  const ended = assert.rejects(async () => {
    // A documentation address: nobody answers.
    for await (
      const _ of streamMessages({ ...CALL, url: "http://192.0.2.1:9", pingMs: 1000, signal: stop.signal })
    ) { /* */ }
  });
  stop.abort();
  await ended;
});
