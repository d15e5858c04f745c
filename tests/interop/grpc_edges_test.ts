/** The edges of the protocol, by clients that keep to it (grpc-js, connect-node) and by clients that do not. */
import assert from "node:assert/strict";
import { create, fromBinary, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import { Code, ConnectError, createClient } from "@connectrpc/connect";
import { createConnectTransport, createGrpcTransport, createGrpcWebTransport } from "@connectrpc/connect-node";
import { compressionGzip, Http2SessionManager } from "@connectrpc/connect-node";
import fc from "fast-check";
import { Client, credentials, Metadata, status as GrpcStatus } from "@grpc/grpc-js";
import { GetFlowsRequestSchema, GetFlowsResponseSchema, Observer } from "../../proto/gen/observer/observer_pb.ts";
import { type FlowServer, startFlowServer } from "./flow_server.ts";
import { MessageReader, openSession, prefixed, rawCall } from "./raw_call.ts";
import { END_HEADERS, END_STREAM, FRAME, frame, openConnection, requestHeaders, silentClient } from "./raw_tcp.ts";

const GET_FLOWS = "/observer.Observer/GetFlows";

type Request = MessageInitShape<typeof GetFlowsRequestSchema>;
const encode = (request: Request) => toBinary(GetFlowsRequestSchema, create(GetFlowsRequestSchema, request));

/** Runs `body` with a server of 1000 flows, and checks that the server still answers afterwards and has let go of everything. */
function edge(name: string, body: (server: FlowServer) => Promise<void>, capacity = 65_536): void {
  Deno.test({
    name,
    // Some cases wait for the server to count a stream: none may wait for ever.
    timeout: 120_000,
    async fn() {
      await using server = await startFlowServer({ capacity, flows: 1000 });
      await body(server);
      const session = await openSession(`http://127.0.0.1:${server.port}`);
      const answer = await rawCall(session, GET_FLOWS, encode({ number: 3n }));
      session.destroy();
      assert.deepEqual([answer.code, answer.messages.length], [0, 3]);
      await settled(server);
    },
  });
}

/** Waits until the server has neither streams nor connections. */
async function settled(server: FlowServer): Promise<void> {
  let now = await server.status();
  for (let i = 0; i < 1000 && now.streams + now.connections > 0; i++) {
    await new Promise((resolve) => setTimeout(resolve, 20));
    now = await server.status();
  }
  assert.deepEqual([now.streams, now.connections], [0, 0]);
}

interface GrpcAnswer {
  code: number;
  details: string;
  messages: number;
}

/** A server-streaming call by grpc-js. */
function grpcJs(client: Client, path: string, request: Request, options: {
  metadata?: Metadata;
  timeoutMs?: number;
  cancelAfter?: number;
  /** Told the number of messages so far. */
  onMessage?: (messages: number) => void;
} = {}): Promise<GrpcAnswer> {
  return new Promise((resolve) => {
    const call = client.makeServerStreamRequest(
      path,
      (value: Request) => globalThis.Buffer.from(encode(value)),
      (bytes: Uint8Array) => fromBinary(GetFlowsResponseSchema, bytes),
      request,
      options.metadata ?? new Metadata(),
      options.timeoutMs === undefined ? {} : { deadline: Date.now() + options.timeoutMs },
    );
    let messages = 0;
    call.on("data", () => {
      if (++messages === options.cancelAfter) call.cancel();
      options.onMessage?.(messages);
    });
    call.on("error", () => {});
    call.on("status", ({ code, details }) => resolve({ code, details, messages }));
  });
}

async function withGrpcJs(server: FlowServer, run: (client: Client) => Promise<void>): Promise<void> {
  const client = new Client(`127.0.0.1:${server.port}`, credentials.createInsecure());
  try {
    await run(client);
  } finally {
    client.close();
  }
}

edge("grpc-js reads history", (server) =>
  withGrpcJs(server, async (client) => {
    assert.deepEqual(await grpcJs(client, GET_FLOWS, {}), { code: GrpcStatus.OK, details: "", messages: 1000 });
  }));

edge("grpc-js sees its deadline on a follower", (server) =>
  withGrpcJs(server, async (client) => {
    const { code, messages } = await grpcJs(client, GET_FLOWS, { follow: true, number: 5n }, { timeoutMs: 3000 });
    assert.deepEqual([code, messages], [GrpcStatus.DEADLINE_EXCEEDED, 5]);
  }));

edge("grpc-js cancels a follower", (server) =>
  withGrpcJs(server, async (client) => {
    const { code } = await grpcJs(client, GET_FLOWS, { follow: true, number: 5n }, { cancelAfter: 5 });
    assert.equal(code, GrpcStatus.CANCELLED);
    for (let i = 0; i < 50 && (await server.status()).streams > 0; i++);
    assert.equal((await server.status()).streams, 0);
  }));

edge("grpc-js gets UNIMPLEMENTED for what does not exist", (server) =>
  withGrpcJs(server, async (client) => {
    for (const path of ["/observer.Observer/Nothing", "/recorder.Recorder/Record"]) {
      assert.equal((await grpcJs(client, path, {})).code, GrpcStatus.UNIMPLEMENTED);
    }
  }));

edge("grpc-js reads 200 streams at once", (server) =>
  withGrpcJs(server, async (client) => {
    let begun = 0;
    // A stream is counted by the server before its request has arrived: only the history shows that it follows.
    const onMessage = (messages: number) => {
      if (messages === 50) begun++;
    };
    const calls = Array.from(
      { length: 200 },
      () => grpcJs(client, GET_FLOWS, { follow: true, number: 50n }, { timeoutMs: 50_000, cancelAfter: 60, onMessage }),
    );
    let ended = false;
    const answers = Promise.all(calls).finally(() => ended = true);
    while (begun < 200 && !ended) await new Promise((resolve) => setTimeout(resolve, 10));
    await server.push(10);
    assert.deepEqual((await answers).map(({ messages }) => messages), Array(200).fill(60));
  }));

edge(
  "grpc-js with metadata over the limit is refused, and within it is served",
  (server) =>
    withGrpcJs(server, async (client) => {
      const metadata = (bytes: number) => {
        const fields = new Metadata();
        for (let i = 0; i < bytes; i += 1000) fields.add(`x-${i}`, "v".repeat(1000));
        return fields;
      };
      assert.equal((await grpcJs(client, GET_FLOWS, { number: 1n }, { metadata: metadata(8000) })).code, GrpcStatus.OK);
      const refused = await grpcJs(client, GET_FLOWS, { number: 1n }, {
        metadata: metadata(40_000),
        timeoutMs: 30_000,
      });
      assert.notEqual(refused.code, GrpcStatus.OK);
      assert.notEqual(refused.code, GrpcStatus.DEADLINE_EXCEEDED);
    }),
);

for (const protocol of ["grpc", "grpc-web", "connect"] as const) {
  edge(`connect-node asks for the status over ${protocol}`, async (server) => {
    const baseUrl = `http://127.0.0.1:${server.port}`;
    const sessionManager = new Http2SessionManager(baseUrl);
    const create = { grpc: createGrpcTransport, "grpc-web": createGrpcWebTransport, connect: createConnectTransport };
    const transport = create[protocol]({ baseUrl, httpVersion: "2", sessionManager });
    const client = createClient(Observer, transport);
    assert.equal((await client.serverStatus({})).numFlows, 1000n);
    assert.deepEqual((await client.getNodes({})).nodes.map(({ name }) => name), ["bench-node"]);
    sessionManager.abort();
  });
}

edge("connect-node streams with compressed requests, and sees codes and texts of errors", async (server) => {
  const baseUrl = `http://127.0.0.1:${server.port}`;
  const sessionManager = new Http2SessionManager(baseUrl);
  const client = createClient(
    Observer,
    createGrpcTransport({ baseUrl, sessionManager, sendCompression: compressionGzip, compressMinBytes: 0 }),
  );
  assert.equal((await Array.fromAsync(client.getFlows({ number: 7n }))).length, 7);
  const refusal = await Array.fromAsync(client.getFlows({ first: true, follow: true })).catch((error) => error);
  assert.ok(refusal instanceof ConnectError);
  assert.deepEqual([refusal.code, refusal.rawMessage], [Code.InvalidArgument, "first cannot be specified with follow"]);
  const abort = new AbortController();
  const cancelled = await (async () => {
    for await (const _ of client.getFlows({ follow: true, number: 1n }, { signal: abort.signal })) abort.abort();
  })().catch((error) => error);
  assert.equal(cancelled.code, Code.Canceled);
  // The session manager starts a timer when its last stream is closed, which abort() ends only if it came before.
  while ((await server.status()).streams > 0);
  await new Promise((resolve) => setTimeout(resolve, 100));
  sessionManager.abort();
});

edge("Broken and hostile requests get the right code", async (server) => {
  const pattern = `${"(a+)+".repeat(50)}$`;
  const cases: [name: string, code: Code, body: Uint8Array, text?: RegExp][] = [
    [
      "message over 4 MiB",
      Code.ResourceExhausted,
      new Uint8Array([0, 0x7f, 0xff, 0xff, 0xff]),
      /limit is 4194304 bytes/,
    ],
    ["truncated message", Code.InvalidArgument, new Uint8Array([0, 0, 0, 0, 9, 1]), /1 of 9 bytes/],
    ["broken protobuf", Code.InvalidArgument, prefixed(new Uint8Array([0x32, 0x7f, 1])), /GetFlowsRequest/],
    ["bad UTF-8", Code.InvalidArgument, prefixed(new Uint8Array([0x32, 4, 0x0a, 2, 0xc3, 0x28])), /GetFlowsRequest/],
    ["first with follow", Code.InvalidArgument, prefixed(encode({ first: true, follow: true })), /first cannot/],
    ["time out of range", Code.InvalidArgument, prefixed(encode({ since: { seconds: 1n << 60n } })), /since/],
    ["unknown mask path", Code.InvalidArgument, prefixed(encode({ fieldMask: { paths: ["x.y"] } })), /x\.y/],
    [
      "bad filter",
      Code.InvalidArgument,
      prefixed(encode({ whitelist: [{ sourceIp: ["300.1.1.1"] }] })),
      /300\.1\.1\.1/,
    ],
    ["hostile pattern", 0 as Code, prefixed(encode({ number: 1n, blacklist: [{ httpPath: [pattern] }] }))],
    [
      "10,000 filters",
      0 as Code,
      prefixed(
        encode({ number: 1n, whitelist: Array.from({ length: 10_000 }, (_, i) => ({ sourcePort: [String(i)] })) }),
      ),
    ],
  ];
  const session = await openSession(`http://127.0.0.1:${server.port}`);
  for (const [name, code, body, text] of cases) {
    const answer = await rawCall(session, GET_FLOWS, undefined, { body });
    assert.equal(answer.code, code, `${name}: ${answer.code} ${answer.message}`);
    if (text !== undefined) assert.match(answer.message, text, name);
  }
  session.destroy();
});

edge("Bytes that are no HTTP/2 close their connection", async (server) => {
  for (const text of ["GET / HTTP/1.1\r\nHost: x\r\n\r\n", "\0\0\0\0\0\0", "x".repeat(100_000)]) {
    const connection = await Deno.connect({ hostname: "127.0.0.1", port: server.port });
    await connection.write(new TextEncoder().encode(text)).catch(() => {});
    await connection.closeWrite().catch(() => {});
    const buffer = new Uint8Array(4096);
    while (await connection.read(buffer).catch(() => null) !== null);
    connection.close();
  }
});

edge("Streams and connections that break in the middle leave nothing behind", async (server) => {
  for (let round = 0; round < 30; round++) {
    const session = await openSession(`http://127.0.0.1:${server.port}`);
    const calls = Array.from(
      { length: 10 },
      (_, i) =>
        rawCall(session, GET_FLOWS, encode({ follow: i % 2 === 0, number: 500n }), {
          with: (stream) => stream.once("data", () => i === 9 ? session.destroy() : stream.close(round % 2 ? 8 : 2)),
        }),
    );
    await Promise.all(calls);
    session.destroy();
  }
});

edge("A connection that ends with a request half sent leaves nothing behind", async (server) => {
  const client = await silentClient(server.port, GET_FLOWS, new Uint8Array([0, 0, 0, 0, 50, 1, 2]), false);
  while ((await server.status()).streams === 0);
  client.connection.close();
});

edge("Frames in any order and of any content end nothing but their own connection", async (server) => {
  const paths = [
    GET_FLOWS,
    "/observer.Observer/ServerStatus",
    "/grpc.health.v1.Health/Watch",
    "/peer.Peer/Notify",
    "/x/y",
  ];
  const byte = fc.integer({ min: 0, max: 255 });
  const stream = fc.integer({ min: 0, max: 6 }).map((n) => 2 * n + 1);
  const bytes = (length: number) => fc.uint8Array({ minLength: length, maxLength: length });
  const call = fc.record({
    path: fc.constantFrom(...paths),
    stream,
    flags: fc.constantFrom(END_HEADERS, END_HEADERS | END_STREAM),
  })
    .map(({ path, stream, flags }) => frame(FRAME.HEADERS, flags, stream, requestHeaders(path)));
  const anyFrame = fc.oneof(
    { weight: 4, arbitrary: call },
    fc.tuple(stream, fc.constantFrom(0, END_STREAM)).map(([id, flags]) =>
      frame(FRAME.DATA, flags, id, prefixed(encode({ follow: true })))
    ),
    fc.tuple(fc.constantFrom(FRAME.RST_STREAM, FRAME.WINDOW_UPDATE), stream, bytes(4)).map(([type, id, body]) =>
      frame(type, 0, id, body)
    ),
    fc.tuple(fc.constantFrom(FRAME.GOAWAY, FRAME.PING), bytes(8)).map(([type, body]) => frame(type, 0, 0, body)),
    bytes(6).map((body) => frame(FRAME.SETTINGS, 0, 0, body)),
    fc.tuple(byte, byte, stream, fc.uint8Array({ maxLength: 40 })).map(([type, flags, id, body]) =>
      frame(type, flags, id, body)
    ),
  );
  const conversations = fc.sample(fc.array(anyFrame, { maxLength: 20 }), { numRuns: 400, seed: 36788 });
  for (let i = 0; i < conversations.length; i += 8) {
    await Promise.all(
      conversations.slice(i, i + 8).map(async (frames, n) => {
        const connection = await openConnection(server.port);
        for (const one of frames) await connection.write(one).catch(() => {});
        // Some leave at once, some read a little first.
        if (n % 2 === 0) {
          const late = new Promise<null>((resolve) => setTimeout(resolve, 10, null));
          const read = connection.read(new Uint8Array(4096)).catch(() => null);
          await Promise.race([read, late]);
        }
        connection.close();
      }),
    );
  }
});

edge("Readers that stopped cost no memory, and hear what they missed when they go on", async (server) => {
  const pushed = 320_000;
  const session = await openSession(`http://127.0.0.1:${server.port}`);
  const stopped = Array.from({ length: 20 }, () => {
    const { promise: serving, resolve: served } = Promise.withResolvers<void>();
    const told = { flows: 0, lost: 0 };
    let resume = () => {};
    const done = rawCall(session, GET_FLOWS, encode({ follow: true }), {
      with(stream) {
        stream.pause();
        stream.once("response", () => served());
        resume = () => {
          const reader = new MessageReader();
          stream.on("data", (chunk: Uint8Array) => {
            for (const message of reader.push(chunk)) {
              const { responseTypes: { case: kind, value } } = fromBinary(GetFlowsResponseSchema, message);
              if (kind === "flow") told.flows++;
              if (kind === "lostEvents") told.lost += Number(value.numEventsLost);
            }
            // All is told. More than that would be told as well, and shows in the sum.
            if (told.flows + told.lost >= pushed) setTimeout(() => stream.close(8), 100);
          });
          stream.resume();
        };
      },
    });
    return { done, serving, told, resume: () => resume() };
  });
  await Promise.all(stopped.map(({ serving }) => serving));
  await server.push(20_000);
  const { rss: before } = await server.status();
  const { rss: after } = await server.push(pushed - 20_000);
  assert.ok(after - before < 24 * 1024 * 1024, `grew by ${((after - before) / 2 ** 20).toFixed(1)} MiB`);
  stopped.forEach(({ resume }) => resume());
  await Promise.all(stopped.map(({ done }) => done));
  for (const { told: { flows, lost } } of stopped) {
    assert.equal(flows + lost, pushed);
    assert.ok(lost > 200_000, `${lost} lost`);
  }
  session.destroy();
}, 8192);

edge("The readers of one connection get the same share of it", async (server) => {
  await server.push(20_000);
  const session = await openSession(`http://127.0.0.1:${server.port}`);
  const bytes: number[] = Array(5).fill(0);
  const ends = bytes.map(async (_, i) => {
    await rawCall(session, GET_FLOWS, encode({ since: {} }), {
      with: (stream) => stream.on("data", (chunk: Uint8Array) => bytes[i] += chunk.length),
    });
    return [...bytes];
  });
  const atFirstEnd = await Promise.race(ends);
  await Promise.all(ends);
  assert.ok(Math.min(...atFirstEnd) > bytes[0] / 2, `of ${bytes[0]} bytes each, when the first had all: ${atFirstEnd}`);
  session.destroy();
});
