import assert from "node:assert/strict";
import {
  type ClientHttp2Session,
  connect,
  createServer,
  type ServerHttp2Session,
  type ServerHttp2Stream,
} from "node:http2";
import type { AddressInfo } from "node:net";
import fc from "fast-check";
import { IncrementalRequests, shareConnection } from "./fair.ts";

const HEADERS = 1;
const DATA = 0;
const CONTINUATION = 9;
const END_HEADERS = 4;
const PADDED = 8;
const PREFACE = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const FIELD = "\0\bpriority\u0001i";

interface Frame {
  type: number;
  flags: number;
  stream: number;
  payload: string;
}

const bytes = (text: string) => Uint8Array.from(text, (character) => character.charCodeAt(0));

function encode(frames: readonly Frame[]): Uint8Array {
  return bytes(
    PREFACE + frames.map(({ type, flags, stream, payload }) => {
      const head = new DataView(new ArrayBuffer(9));
      head.setUint32(0, payload.length * 256 + type);
      head.setUint8(4, flags);
      head.setUint32(5, stream);
      return String.fromCharCode(...new Uint8Array(head.buffer)) + payload;
    }).join(""),
  );
}

/** What comes out when the bytes come in pieces of these lengths, over and over. */
function rewritten(frames: readonly Frame[], lengths: readonly number[] = [Infinity]): Uint8Array {
  const requests = new IncrementalRequests();
  const all = encode(frames);
  const out: number[] = [];
  for (let at = 0, i = 0; at < all.length; i++) {
    const piece = all.slice(at, at + lengths[i % lengths.length]);
    out.push(...requests.rewrite(piece));
    at += piece.length;
  }
  return Uint8Array.from(out);
}

const request = (stream: number, payload = "fields", flags = END_HEADERS): Frame => ({
  type: HEADERS,
  flags,
  stream,
  payload,
});
const data = (stream: number, payload: string): Frame => ({ type: DATA, flags: 1, stream, payload });
/** The same frame with the field behind its payload. */
const asking = (frame: Frame): Frame => ({ ...frame, payload: frame.payload + FIELD });

const cases: [name: string, frames: Frame[], expected: Frame[]][] = [
  ["a request", [request(1), data(1, "body")], [asking(request(1)), data(1, "body")]],
  ["a request without fields", [request(1, "")], [asking(request(1, ""))]],
  ["a second request", [request(1), request(3)], [asking(request(1)), asking(request(3))]],
  ["trailers", [request(1), data(1, ""), request(1, "end")], [asking(request(1)), data(1, ""), request(1, "end")]],
  [
    "a header block in two frames",
    [request(1, "first", 0), { type: CONTINUATION, flags: END_HEADERS, stream: 1, payload: "rest" }],
    [request(1, "first", 0), asking({ type: CONTINUATION, flags: END_HEADERS, stream: 1, payload: "rest" })],
  ],
  [
    "trailers in two frames",
    [request(1), request(1, "end", 0), { type: CONTINUATION, flags: END_HEADERS, stream: 1, payload: "rest" }],
    [asking(request(1)), request(1, "end", 0), { type: CONTINUATION, flags: END_HEADERS, stream: 1, payload: "rest" }],
  ],
  ["a padded request", [request(1, "\u0002abpp", END_HEADERS | PADDED)], [
    request(1, "\u0002abpp", END_HEADERS | PADDED),
  ]],
  ["a frame that has no room", [request(1, "x".repeat(16_373))], [request(1, "x".repeat(16_373))]],
  ["a frame that has just room", [request(1, "x".repeat(16_372))], [asking(request(1, "x".repeat(16_372)))]],
  ["no request", [{ type: 4, flags: 0, stream: 0, payload: "\0\u0003\0\0\0d" }], [
    { type: 4, flags: 0, stream: 0, payload: "\0\u0003\0\0\0d" },
  ]],
];
for (const [name, frames, expected] of cases) {
  Deno.test(`IncrementalRequests: ${name}`, () => {
    for (const lengths of [[Infinity], [1], [24, 9, 3], [25, 7]]) {
      assert.deepEqual(rewritten(frames, lengths), encode(expected), `in pieces of ${lengths}`);
    }
  });
}

Deno.test("IncrementalRequests: how the bytes are cut makes no difference", () => {
  const frame = fc.record({
    type: fc.constantFrom(DATA, HEADERS, HEADERS, CONTINUATION, 4, 8, 200),
    flags: fc.integer({ min: 0, max: 255 }),
    stream: fc.integer({ min: 0, max: 5 }),
    payload: fc.string({ unit: "binary-ascii", maxLength: 40 }),
  });
  const lengths = fc.array(fc.integer({ min: 1, max: 30 }), { minLength: 1, maxLength: 10 });
  fc.assert(fc.property(fc.array(frame, { maxLength: 12 }), lengths, (frames, cuts) => {
    assert.deepEqual(rewritten(frames, cuts), rewritten(frames));
  }));
});

Deno.test("IncrementalRequests: what is no request is passed on without a copy", () => {
  const requests = new IncrementalRequests();
  requests.rewrite(encode([request(1)]));
  const body = encode([data(1, "body")]).subarray(PREFACE.length);
  assert.equal(requests.rewrite(body), body);
});

const STREAMS = 6;
const TOTAL = 24 * 2 ** 20;

/** Bytes that each of the streams of one connection got when all together have {@link TOTAL}; each always has more to send. */
async function shares(onSession: (session: ServerHttp2Session) => void): Promise<number[]> {
  const server = createServer();
  server.on("session", onSession);
  server.on("stream", (stream: ServerHttp2Stream) => {
    const block = new Uint8Array(65_536);
    const send = () => {
      if (!stream.closed && !stream.destroyed) stream.write(block, () => setImmediate(send));
    };
    stream.on("error", () => {});
    stream.respond({ ":status": 200 });
    send();
    send();
  });
  server.on("sessionError", () => {});
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const client: ClientHttp2Session = connect(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
  const got: number[] = Array(STREAMS).fill(0);
  const answered: Promise<unknown>[] = [];
  const streams = got.map((_, i) => {
    const stream = client.request({ ":method": "POST" }, { endStream: true });
    stream.on("error", () => {});
    answered.push(new Promise((resolve) => stream.once("response", resolve)));
    return { stream, i };
  });
  await Promise.all(answered);
  await new Promise<void>((resolve) => {
    for (const { stream, i } of streams) {
      stream.on("data", (chunk: Uint8Array) => {
        got[i] += chunk.length;
        if (got.reduce((sum, bytes) => sum + bytes, 0) >= TOTAL) resolve();
      });
    }
  });
  const result = [...got];
  const closed = streams.map(({ stream }) => new Promise((resolve) => stream.once("close", resolve)));
  for (const { stream } of streams) stream.close(8);
  await Promise.all(closed);
  const ended = new Promise<void>((resolve) => server.close(() => resolve()));
  client.close();
  await ended;
  return result;
}

Deno.test("shareConnection() gives every stream of a connection the same share", async () => {
  const got = await shares((session) => assert.ok(shareConnection(session)));
  assert.ok(Math.min(...got) > 0.8 * Math.max(...got), `shares: ${got}`);
});
