/** Finds the handler of an HTTP/2 request: streaming calls of our own, unary ones of the connect router, UNIMPLEMENTED. */
import {
  create,
  type DescMessage,
  type DescMethodServerStreaming,
  fromBinary,
  type MessageShape,
  toBinary,
} from "@bufbuild/protobuf";
import { Code, ConnectError, type ConnectRouter, createConnectRouter } from "@connectrpc/connect";
import type { UniversalHandler } from "@connectrpc/connect/protocol";
import type { IncomingHttpHeaders, ServerHttp2Stream } from "node:http2";
import { Call, ignoreError, isOver } from "./call.ts";
import { frame } from "./frame.ts";
import { serveUniversal } from "./universal.ts";

/** Answers a server-streaming call: writes frames and finishes `call`. A rejection becomes the call's status. */
export type StreamHandler = (call: Call, message: Uint8Array) => Promise<void> | void;

/** What a {@link GrpcRouter} needs to know. */
export interface RouterOptions {
  /** Largest accepted request message, in bytes. */
  readonly maxMessageBytes: number;
  /** How long a request may take to arrive, in milliseconds; {@link REQUEST_MS} by default. */
  readonly requestMs?: number;
  /** Sent with every response. */
  readonly headers: Readonly<Record<string, string>>;
}

/** The services of a server. */
export class GrpcRouter {
  readonly #streams = new Map<string, StreamHandler>();
  readonly #unary = new Map<string, UniversalHandler>();
  readonly #services = new Set<string>();
  readonly #calls = new Set<Call>();
  readonly #endless = new Set<Call>();
  #ended = () => {};

  constructor(readonly options: RouterOptions) {}

  /** Server-streaming calls in progress. */
  get calls(): ReadonlySet<Call> {
    return this.#calls;
  }

  /** Adds unary (and, for reflection, bidirectional) methods. */
  unary(register: (router: ConnectRouter) => void): this {
    const router = createConnectRouter({ readMaxBytes: this.options.maxMessageBytes });
    register(router);
    for (const handler of router.handlers) {
      this.#unary.set(handler.requestPath, handler);
      this.#services.add(handler.service.typeName);
    }
    return this;
  }

  /** Adds a server-streaming method that writes frames itself. */
  stream(method: DescMethodServerStreaming, handler: StreamHandler): this {
    this.#streams.set(`/${method.parent.typeName}/${method.name}`, handler);
    this.#services.add(method.parent.typeName);
    return this;
  }

  /** Adds a server-streaming method whose responses come from an async generator. It has to return when `call.signal` is aborted. */
  messages<I extends DescMessage, O extends DescMessage>(
    method: DescMethodServerStreaming<I, O>,
    handler: (request: MessageShape<I>, call: Call) => AsyncIterable<MessageShape<O>>,
  ): this {
    return this.stream(method, async (call, message) => {
      const request = decodeRequest(method.input, message);
      call.open();
      this.#endless.add(call);
      call.signal.addEventListener("abort", () => this.#endless.delete(call));
      for await (const response of handler(request, call)) {
        await new Promise<void>((flushed) => call.write(frame(toBinary(method.output, response)), flushed));
        if (call.finished) return;
      }
      call.finish(0);
    });
  }

  /**
   * Waits until no streaming call is left. Calls of {@link messages} are ended at once, those that write frames themselves
   * after `graceMs` milliseconds; both with UNAVAILABLE, upon which clients go and look for another server.
   */
  async drain(graceMs: number): Promise<void> {
    const end = (call: Call) => call.finish(Code.Unavailable, "Server is stopping");
    this.#endless.forEach(end);
    const timer = setTimeout(() => this.#calls.forEach(end), graceMs);
    while (this.#calls.size > 0) await new Promise<void>((resolve) => this.#ended = resolve);
    clearTimeout(timer);
  }

  /** Answers one HTTP/2 request. Never throws and leaves no rejection behind. */
  serve(stream: ServerHttp2Stream, headers: IncomingHttpHeaders): void {
    const path = headers[":path"] ?? "";
    const grpc = /^application\/grpc($|[+;])/.test(headers["content-type"] ?? "");
    const handler = grpc ? this.#streams.get(path) : undefined;
    if (handler !== undefined && headers[":method"] === "POST") {
      this.#serveStream(handler, stream, headers);
      return;
    }
    const unary = this.#unary.get(path);
    if (unary !== undefined) {
      void serveUniversal(unary, stream, headers, this.options.headers, this.options.requestMs);
      return;
    }
    if (grpc) new Call(stream, headers, this.options.headers).finish(Code.Unimplemented, this.#unknown(path));
    else refuse(stream, this.#streams.has(path) ? 415 : 404);
  }

  async #serveStream(handler: StreamHandler, stream: ServerHttp2Stream, headers: IncomingHttpHeaders): Promise<void> {
    const call = new Call(stream, headers, this.options.headers);
    this.#calls.add(call);
    call.signal.addEventListener("abort", () => {
      this.#calls.delete(call);
      this.#ended();
    });
    try {
      const message = await call.request(this.options.maxMessageBytes, this.options.requestMs);
      await handler(call, message);
    } catch (error) {
      call.fail(error);
    }
  }

  #unknown(path: string): string {
    const [, service, method] = /^\/([^/]*)\/([^/]*)$/.exec(path) ?? [];
    if (service === undefined) return `Malformed method name ${JSON.stringify(path)}`;
    return this.#services.has(service)
      ? `Unknown method ${method} of service ${service}`
      : `Unknown service ${service}`;
  }
}

/**
 * Decodes a request message.
 * @throws ConnectError INVALID_ARGUMENT when it is no valid message (broken wire format, a string that is no UTF-8).
 */
export function decodeRequest<D extends DescMessage>(schema: D, message: Uint8Array): MessageShape<D> {
  if (message.length === 0) return create(schema);
  try {
    return fromBinary(schema, message);
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new ConnectError(
      `Cannot decode ${schema.typeName}: ${reason}`,
      Code.InvalidArgument,
      undefined,
      undefined,
      cause,
    );
  }
}

/** Answers a request that is no gRPC. */
function refuse(stream: ServerHttp2Stream, status: number): void {
  stream.on("error", ignoreError);
  if (isOver(stream)) return;
  stream.respond({ ":status": status }, { endStream: true });
  stream.resume();
}
