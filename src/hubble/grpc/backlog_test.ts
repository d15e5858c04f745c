import assert from "node:assert/strict";
import { EventEmitter, once } from "node:events";
import { createServer, type Http2Session, type ServerHttp2Stream } from "node:http2";
import type { AddressInfo } from "node:net";
import { afterBacklog, type BacklogStream, MAX_BACKLOG } from "./backlog.ts";

/** A connection whose socket holds what the test says. */
function connection() {
  const socket = Object.assign(new EventEmitter(), { writableLength: 0 });
  const session = { destroyed: false, socket } as unknown as Http2Session;
  const stream = () => Object.assign(new EventEmitter(), { session, closed: false, destroyed: false });
  return { socket, stream };
}

Deno.test("afterBacklog() is done at once while little waits, or when the stream is over", () => {
  const { socket, stream } = connection();
  let done = 0;
  const wait = (one: unknown) => afterBacklog(one as BacklogStream, () => done++);
  socket.writableLength = MAX_BACKLOG;
  wait(stream());
  assert.equal(done, 1);
  socket.writableLength++;
  wait(Object.assign(stream(), { closed: true }));
  wait(Object.assign(stream(), { destroyed: true }));
  wait(Object.assign(stream(), { session: undefined }));
  assert.equal(done, 4);
  wait(stream());
  assert.equal(done, 4);
});

Deno.test("afterBacklog() waits for the socket or the end of the stream, once, and leaves nothing behind", () => {
  const { socket, stream } = connection();
  socket.writableLength = MAX_BACKLOG + 1;
  const done: number[] = [];
  const streams = Array.from({ length: 20 }, stream);
  streams.forEach((one, index) => afterBacklog(one as unknown as BacklogStream, () => done.push(index)));
  streams[3].emit("close");
  assert.deepEqual(done, [3]);
  socket.emit("drain");
  socket.emit("drain");
  assert.equal(done.length, 20);
  assert.equal(new Set(done).size, 20);
  assert.equal(socket.listenerCount("drain"), 1);
  assert.ok(streams.every((one) => one.listenerCount("close") === 0));
});

const frame = (type: number, flags: number, stream: number, ...payload: number[]) =>
  Uint8Array.of(0, 0, payload.length, type, flags, 0, 0, 0, stream, ...payload);

/** A client that lets the server send 2 GiB, and asks for "/". */
const GREEDY = [
  new TextEncoder().encode("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
  frame(4, 0, 0, 0, 4, 0x7f, 0xff, 0xff, 0xff), // SETTINGS: INITIAL_WINDOW_SIZE
  frame(8, 0, 0, 0x7f, 0, 0, 0), // WINDOW_UPDATE of the connection
  frame(1, 5, 1, 0x82, 0x86, 0x84, 0x41, 1, 0x61), // HEADERS: GET, http, "/", authority "a"
];

Deno.test("afterBacklog() holds a writer back whose client has a large window and does not read", async () => {
  const WRITES = 1000, SIZE = 65_536;
  const server = createServer();
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  let written = 0, most = 0;
  server.on("stream", (stream: ServerHttp2Stream) => {
    stream.on("error", () => {});
    stream.respond({ ":status": 200 });
    const bytes = new Uint8Array(SIZE);
    const next = () => {
      most = Math.max(most, stream.session?.socket.writableLength ?? 0);
      if (written === WRITES) stream.end();
      else {
        written++;
        stream.write(bytes, () => afterBacklog(stream, () => setImmediate(next)));
      }
    };
    next();
  });
  const client = await Deno.connect({ hostname: "127.0.0.1", port });
  try {
    for (const part of GREEDY) await client.write(part);
    let before = -1;
    while (before !== written || written === 0) {
      before = written;
      await new Promise((resolve) => setTimeout(resolve, 200));
    }
    // What the kernel takes for the two sockets is a few megabytes more.
    assert.ok(written < WRITES / 2, `${written} writes for a client that does not read`);
    assert.ok(most <= MAX_BACKLOG + 3 * SIZE, `${most} bytes waited`);
    const buffer = new Uint8Array(1 << 20);
    for (let read = 0; read < WRITES * SIZE;) {
      const length = await client.read(buffer);
      assert.ok(length !== null, `the server ended after ${read} bytes`);
      read += length;
    }
    assert.equal(written, WRITES);
  } finally {
    client.close();
    server.close();
    await once(server, "close");
  }
});
