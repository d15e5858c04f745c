/**
 * GetFlows in other ways, for `bench/stream.ts` to compare with. `connect` and `grpc-js` stream as these libraries mean it: each
 * flow becomes a message, the library encodes it and writes it. `ready` writes frames that were encoded before, 64 KiB at a time:
 * what HTTP/2 itself takes.
 *
 *     deno run -A bench/load/stream_baselines.ts connect|grpc-js|ready FLOWS
 *
 * Prints the port that it serves on, and serves until its standard input ends.
 */
import { fromBinary, toBinary } from "@bufbuild/protobuf";
import { createConnectRouter } from "@connectrpc/connect";
import { connectNodeAdapter } from "@connectrpc/connect-node";
import * as grpc from "@grpc/grpc-js";
import { createServer, type ServerHttp2Stream } from "node:http2";
import type { AddressInfo } from "node:net";
import { type GetFlowsResponse, GetFlowsResponseSchema, Observer } from "../../proto/gen/observer/observer_pb.ts";
import { GetFlowsRequestSchema } from "../../proto/gen/observer/observer_pb.ts";
import { FlowEncoder } from "../../src/flow/encoder.ts";
import { toResponse } from "../../src/flow/to_flow.ts";
import { FlowView } from "../../src/flow/view.ts";
import { syntheticFlows } from "../../tests/interop/flow_server.ts";

const BLOCK = 64 * 1024;

const [kind, count] = [Deno.args[0], Number(Deno.args[1])];
const { store, record, push } = syntheticFlows(2 ** Math.ceil(Math.log2(count)));
push(count);

/** All flows as messages, oldest first. */
function* responses(): Generator<GetFlowsResponse> {
  const view = new FlowView(store, record);
  for (let position = store.oldest; position < store.head; position++) yield toResponse(view.moveTo(position));
}

/** The usual way with connect: a generator of messages. */
function serveConnect(): Promise<number> {
  const routes = (router: ReturnType<typeof createConnectRouter>) =>
    router.rpc(Observer.method.getFlows, async function* () {
      yield* responses();
    });
  const server = createServer(connectNodeAdapter({ routes }));
  return new Promise((resolve) => server.listen(0, "127.0.0.1", () => resolve((server.address() as AddressInfo).port)));
}

/** The usual way with grpc-js: write until it says no, and wait for "drain". */
function serveGrpcJs(): Promise<number> {
  const server = new grpc.Server();
  const definition = {
    GetFlows: {
      path: "/observer.Observer/GetFlows",
      requestStream: false,
      responseStream: true,
      requestSerialize: (): Buffer => Buffer.alloc(0),
      requestDeserialize: (bytes: Buffer) => fromBinary(GetFlowsRequestSchema, bytes),
      responseSerialize: (message: GetFlowsResponse): Buffer => Buffer.from(toBinary(GetFlowsResponseSchema, message)),
      responseDeserialize: (bytes: Buffer) => fromBinary(GetFlowsResponseSchema, bytes),
    },
  } as const;
  server.addService(definition, {
    async GetFlows(call: grpc.ServerWritableStream<unknown, GetFlowsResponse>) {
      for (const response of responses()) {
        if (call.cancelled) return;
        if (!call.write(response)) await new Promise((resolve) => call.once("drain", resolve));
      }
      call.end();
    },
  });
  return new Promise((resolve, reject) =>
    server.bindAsync(
      "127.0.0.1:0",
      grpc.ServerCredentials.createInsecure(),
      (error, port) => error ? reject(error) : resolve(port),
    )
  );
}

/** Frames in blocks of 64 KiB, two writes ahead of the socket. */
function serveReady(): Promise<number> {
  const encoder = new FlowEncoder(record);
  const view = new FlowView(store, record);
  const blocks: Uint8Array[] = [];
  for (let position = store.oldest; position < store.head;) {
    const block = new Uint8Array(BLOCK);
    let length = 0;
    for (; position < store.head; position++) {
      const end = encoder.encodeFrame(view.moveTo(position), block, length);
      if (end < 0) break;
      length = end;
    }
    blocks.push(block.subarray(0, length));
  }
  const server = createServer();
  server.on("stream", (stream) => {
    const call = stream as ServerHttp2Stream;
    call.on("error", () => {});
    call.on("wantTrailers", () => call.sendTrailers({ "grpc-status": "0" }));
    call.respond({ ":status": 200, "content-type": "application/grpc" }, { waitForTrailers: true });
    call.resume();
    let next = 0;
    const write = () => {
      if (next < blocks.length) call.write(blocks[next++], () => setImmediate(write));
      else if (next++ === blocks.length) call.end();
    };
    write();
    write();
  });
  return new Promise((resolve) => server.listen(0, "127.0.0.1", () => resolve((server.address() as AddressInfo).port)));
}

const serve = { connect: serveConnect, "grpc-js": serveGrpcJs, ready: serveReady }[kind];
if (serve === undefined) {
  throw new Error(`Unknown baseline ${JSON.stringify(kind)}: expected connect, grpc-js or ready`);
}
console.log(await serve());
for await (const _ of Deno.stdin.readable);
Deno.exit(0);
