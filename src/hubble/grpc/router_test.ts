import assert from "node:assert/strict";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { Code, ConnectError } from "@connectrpc/connect";
import { type ClientHttp2Session, createServer, type ServerHttp2Stream } from "node:http2";
import type { AddressInfo } from "node:net";
import {
  Health,
  HealthCheckRequestSchema,
  HealthCheckResponseSchema,
} from "../../../proto/gen/grpc/health/v1/health_pb.ts";
import { openSession, prefixed, rawCall } from "../../../tests/interop/raw_call.ts";
import type { Call } from "./call.ts";
import { GrpcRouter } from "./router.ts";

const CHECK = "/grpc.health.v1.Health/Check";
const WATCH = "/grpc.health.v1.Health/Watch";

type Watch = (service: string, call: Call) => AsyncIterable<number>;

/** Serves a Health of which Check answers 1 (or fails for the service "bad") and Watch what `watch` yields. */
async function withServer(watch: Watch, run: (session: ClientHttp2Session, router: GrpcRouter) => Promise<void>) {
  const router = new GrpcRouter({ maxMessageBytes: 1000, requestMs: 500, headers: { "x-server": "test" } })
    .unary((connect) =>
      connect.rpc(Health.method.check, ({ service }) => {
        if (service === "bad") throw new ConnectError("No such service: 100 %", Code.NotFound);
        return create(HealthCheckResponseSchema, { status: 1 });
      })
    )
    .messages(Health.method.watch, async function* ({ service }, call) {
      for await (const status of watch(service, call)) yield create(HealthCheckResponseSchema, { status });
    });
  const server = createServer();
  server.on("stream", (stream, headers) => router.serve(stream as ServerHttp2Stream, headers));
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const session = await openSession(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
  try {
    await run(session, router);
  } finally {
    session.destroy();
    await new Promise((resolve) => server.close(resolve));
  }
}

async function* three(): AsyncGenerator<number> {
  yield* [1, 2, 1];
}

async function* untilAborted(_service: string, { signal }: Call): AsyncGenerator<number> {
  yield 1;
  await new Promise((resolve) => signal.addEventListener("abort", resolve));
}

const request = (service: string) => toBinary(HealthCheckRequestSchema, create(HealthCheckRequestSchema, { service }));
const status = (message: Uint8Array) => fromBinary(HealthCheckResponseSchema, message).status;

Deno.test("GrpcRouter answers a unary call with message and trailers", async () => {
  await withServer(three, async (session) => {
    const answer = await rawCall(session, CHECK);
    assert.equal(answer.code, 0);
    assert.deepEqual(answer.messages.map(status), [1]);
    assert.equal(answer.headers["x-server"], "test");
    const failed = await rawCall(session, CHECK, request("bad"));
    assert.deepEqual([failed.status, failed.code, failed.message], [200, Code.NotFound, "No such service: 100 %"]);
  });
});

Deno.test("GrpcRouter streams the messages of a generator", async () => {
  await withServer(three, async (session) => {
    const answer = await rawCall(session, WATCH);
    assert.equal(answer.code, 0);
    assert.equal(answer.headers["content-type"], "application/grpc");
    assert.equal(answer.headers["x-server"], "test");
    assert.deepEqual(answer.messages.map(status), [1, 2, 1]);
  });
});

Deno.test("GrpcRouter sends headers before the first message", async () => {
  // deno-lint-ignore require-yield
  await withServer(async function* (_service, { signal }) {
    await new Promise((resolve) => signal.addEventListener("abort", resolve));
  }, async (session) => {
    const answer = rawCall(session, WATCH, undefined, {
      with: (stream) => stream.once("response", () => stream.close(8)),
    });
    assert.equal((await answer).status, 200);
  });
});

Deno.test("GrpcRouter turns an error of a generator into its status", async () => {
  // deno-lint-ignore require-yield
  await withServer(async function* (service) {
    if (service === "internal") throw new Error("broken");
    throw new ConnectError("too much", Code.ResourceExhausted);
  }, async (session) => {
    const exhausted = await rawCall(session, WATCH);
    assert.deepEqual([exhausted.code, exhausted.message], [Code.ResourceExhausted, "too much"]);
    const internal = await rawCall(session, WATCH, request("internal"));
    assert.deepEqual([internal.code, internal.message], [Code.Internal, "broken"]);
  });
});

Deno.test("GrpcRouter answers unknown methods and services with UNIMPLEMENTED", async () => {
  await withServer(three, async (session) => {
    for (
      const [path, message] of [
        ["/grpc.health.v1.Health/List", "Unknown method List of service grpc.health.v1.Health"],
        ["/no.Such/Thing", "Unknown service no.Such"],
        ["/", 'Malformed method name "/"'],
      ]
    ) {
      const answer = await rawCall(session, path);
      assert.deepEqual([answer.status, answer.code, answer.message], [200, Code.Unimplemented, message]);
      assert.equal(answer.headers["content-type"], "application/grpc");
    }
  });
});

Deno.test("GrpcRouter answers what is no gRPC with an HTTP status", async () => {
  await withServer(three, async (session) => {
    assert.equal((await rawCall(session, "/", undefined, { headers: { "content-type": "text/html" } })).status, 404);
    assert.equal((await rawCall(session, WATCH, undefined, { headers: { "content-type": "text/html" } })).status, 415);
  });
});

Deno.test("GrpcRouter speaks JSON to a client of the Connect protocol", async () => {
  await withServer(three, async (session) => {
    const body = new TextEncoder().encode("{}");
    const chunks: Uint8Array[] = [];
    const answer = await rawCall(session, CHECK, undefined, {
      body,
      headers: { "content-type": "application/json" },
      with: (stream) => stream.on("data", (chunk: Uint8Array) => chunks.push(chunk)),
    });
    assert.equal(answer.status, 200);
    assert.equal(new TextDecoder().decode(chunks[0]), '{"status":"SERVING"}');
  });
});

Deno.test("GrpcRouter refuses broken requests of a stream by the right code", async () => {
  const cases: [name: string, code: Code, options: { body?: Uint8Array; headers?: Record<string, string> }][] = [
    ["oversized", Code.ResourceExhausted, { body: prefixed(new Uint8Array(1001)) }],
    ["truncated", Code.InvalidArgument, { body: prefixed(request("abc")).subarray(0, 7) }],
    ["empty", Code.InvalidArgument, { body: new Uint8Array() }],
    ["no protobuf", Code.InvalidArgument, { body: prefixed(new Uint8Array([0xff, 0xff])) }],
    ["bad UTF-8", Code.InvalidArgument, { body: prefixed(new Uint8Array([0x0a, 2, 0xc3, 0x28])) }],
    ["unknown compression", Code.Unimplemented, { headers: { "grpc-encoding": "zstd" } }],
    ["bad timeout", Code.InvalidArgument, { headers: { "grpc-timeout": "soon" } }],
  ];
  await withServer(three, async (session) => {
    for (const [name, code, options] of cases) {
      const answer = await rawCall(session, WATCH, undefined, options);
      assert.equal(answer.code, code, `${name}: ${answer.message}`);
      assert.notEqual(answer.message, "", name);
    }
    assert.equal((await rawCall(session, WATCH)).code, 0);
  });
});

Deno.test("GrpcRouter ends a stream at its deadline", async () => {
  await withServer(untilAborted, async (session, router) => {
    const answer = await rawCall(session, WATCH, undefined, { headers: { "grpc-timeout": "50m" } });
    assert.equal(answer.code, Code.DeadlineExceeded);
    assert.equal(answer.messages.length, 1);
    assert.equal(router.calls.size, 0);
  });
});

Deno.test("GrpcRouter ends a stream whose request never ends at its deadline", async () => {
  await withServer(untilAborted, async (session) => {
    const answer = await rawCall(session, WATCH, undefined, {
      body: new Uint8Array([0, 0]),
      keepOpen: true,
      headers: { "grpc-timeout": "50m" },
    });
    assert.equal(answer.code, Code.DeadlineExceeded);
  });
});

Deno.test("GrpcRouter ends calls whose request does not arrive in time", async () => {
  await withServer(untilAborted, async (session) => {
    const half = { body: new Uint8Array([0, 0]), keepOpen: true };
    const [stream, unary] = await Promise.all([
      rawCall(session, WATCH, undefined, half),
      rawCall(session, CHECK, undefined, half),
    ]);
    assert.deepEqual([stream.code, stream.message], [Code.DeadlineExceeded, "Request was not complete after 0.5 s"]);
    assert.equal(unary.reset, 8);
  });
});

Deno.test("GrpcRouter lets a stream go on after its request arrived", async () => {
  await withServer(async function* () {
    yield 1;
    await new Promise((resolve) => setTimeout(resolve, 700));
    yield 2;
  }, async (session) => {
    assert.deepEqual((await rawCall(session, WATCH)).messages.map(status), [1, 2]);
  });
});

Deno.test("GrpcRouter aborts the handler when the client cancels", async () => {
  let aborted = false;
  await withServer(async function* (_service, { signal }) {
    yield 1;
    await new Promise((resolve) => signal.addEventListener("abort", resolve));
    aborted = true;
  }, async (session, router) => {
    await rawCall(session, WATCH, undefined, { with: (stream) => stream.once("data", () => stream.close(8)) });
    for (let i = 0; i < 4000 && router.calls.size > 0; i++) await new Promise((resolve) => setTimeout(resolve, 5));
    assert.equal(router.calls.size, 0);
    assert.ok(aborted);
  });
});

Deno.test("GrpcRouter.drain() ends streams that have no end with UNAVAILABLE", async () => {
  await withServer(untilAborted, async (session, router) => {
    const answer = rawCall(session, WATCH, undefined, {
      with: (stream) => stream.once("data", () => void router.drain(1000)),
    });
    assert.deepEqual([(await answer).code, (await answer).message], [Code.Unavailable, "Server is stopping"]);
  });
});
