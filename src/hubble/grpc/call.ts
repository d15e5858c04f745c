/** One server-streaming gRPC call on one HTTP/2 stream: headers at once, raw frames with back-pressure, trailers. */
import { Code, ConnectError } from "@connectrpc/connect";
import { constants, type IncomingHttpHeaders, type OutgoingHttpHeaders, type ServerHttp2Stream } from "node:http2";
import { afterBacklog } from "./backlog.ts";
import { RequestAssembler } from "./frame.ts";
import { parseTimeout, type StatusCode, statusTrailers } from "./status.ts";

/** How long a finished call may take to flush what it has written before its stream is reset, in milliseconds. */
const FLUSH_MS = 1000;
/** How long a request may take to arrive, in milliseconds. Hubble's are one message of some hundred bytes. */
export const REQUEST_MS = 30_000;
/** setTimeout() takes at most 2^31 − 1 milliseconds; a longer deadline is as good as none. */
const MAX_TIMER_MS = 2 ** 31 - 1;

/**
 * Ignores an error event. A peer that resets a stream or a connection raises one on every layer; each of them is followed
 * by "close", which is what the server acts on. Without a listener the event would end the process.
 */
export const ignoreError = (): void => {};

/** Whether a stream takes nothing more: after a reset it is closed for a while before it is destroyed, and then it throws. */
export function isOver(stream: ServerHttp2Stream): boolean {
  return stream.closed || stream.destroyed;
}

/** A server-streaming call in progress. */
export class Call {
  readonly #stream: ServerHttp2Stream;
  readonly #responseHeaders: OutgoingHttpHeaders;
  readonly #abort = new AbortController();
  #trailers: OutgoingHttpHeaders | undefined;
  #deadline: ReturnType<typeof setTimeout> | undefined;
  #flush: ReturnType<typeof setTimeout> | undefined;
  #closed = false;

  /** `headers` are the request's, `responseHeaders` go with whatever answer there is. */
  constructor(
    stream: ServerHttp2Stream,
    readonly headers: IncomingHttpHeaders,
    responseHeaders: OutgoingHttpHeaders = {},
  ) {
    this.#stream = stream;
    this.#responseHeaders = { ":status": 200, "content-type": "application/grpc", ...responseHeaders };
    stream.on("error", ignoreError);
    stream.on("close", () => this.#close());
    stream.on("wantTrailers", () => {
      if (!isOver(stream)) {
        stream.sendTrailers(this.#trailers ?? statusTrailers(Code.Unknown, "Call ended without a status"));
      }
    });
  }

  /** Aborted when the call is over, for whatever reason: finished, cancelled, deadline, connection lost. */
  get signal(): AbortSignal {
    return this.#abort.signal;
  }

  /** True once nothing more can be written. */
  get finished(): boolean {
    return this.#closed || this.#trailers !== undefined || isOver(this.#stream);
  }

  /** The address on this side of the connection, for answers that must name it; undefined on a unix socket. */
  get localAddress(): string | undefined {
    return this.#stream.session?.socket?.localAddress;
  }

  /** Whether the client reads messages compressed with gzip. */
  get acceptsGzip(): boolean {
    return /(^|,)\s*gzip\s*(,|$)/.test(String(this.headers["grpc-accept-encoding"] ?? ""));
  }

  /**
   * Sends the response headers. A follower may wait long for the first message, and its client wants to know that it is served.
   * @param encoding what frames with the compressed flag are compressed with
   */
  open(encoding: "identity" | "gzip" = "identity"): void {
    if (this.finished) return;
    const encodings = { "grpc-encoding": encoding, "grpc-accept-encoding": "identity,gzip" };
    this.#stream.respond({ ...this.#responseHeaders, ...encodings }, { waitForTrailers: true });
  }

  /**
   * Reads the one message of the request, and starts the deadline of its grpc-timeout.
   * @throws ConnectError when the message is too large, truncated, or in an encoding that this server does not know; when the
   * deadline or the peer ends the call first.
   */
  request(maxBytes: number, requestMs = REQUEST_MS): Promise<Uint8Array> {
    return new Promise((resolve, reject) => {
      const encoding = String(this.headers["grpc-encoding"] ?? "identity");
      if (encoding !== "identity" && encoding !== "gzip") {
        return reject(
          new ConnectError(
            `Unknown grpc-encoding ${JSON.stringify(encoding)}: send identity or gzip`,
            Code.Unimplemented,
          ),
        );
      }
      try {
        this.#startDeadline();
      } catch (cause) {
        return reject(ConnectError.from(cause, Code.InvalidArgument));
      }
      const assembler = new RequestAssembler(maxBytes, encoding);
      const onData = (chunk: Uint8Array) => {
        try {
          const message = assembler.push(chunk);
          if (message === undefined) return;
          done();
          resolve(message);
        } catch (error) {
          done();
          reject(error);
        }
      };
      const onEnd = () => {
        done();
        reject(assembler.truncated());
      };
      const onAbort = () => {
        done();
        reject(new ConnectError("Call ended before its request was read", Code.Canceled));
      };
      const late = setTimeout(() => {
        done();
        reject(new ConnectError(`Request was not complete after ${requestMs / 1000} s`, Code.DeadlineExceeded));
      }, requestMs);
      const done = () => {
        clearTimeout(late);
        this.#stream.off("data", onData).off("end", onEnd);
        this.signal.removeEventListener("abort", onAbort);
        // What follows the message is read and dropped, so that the stream can end.
        this.#stream.resume();
      };
      this.signal.addEventListener("abort", onAbort);
      this.#stream.on("data", onData).on("end", onEnd);
      if (this.signal.aborted) onAbort();
    });
  }

  /**
   * Queues bytes that are whole gRPC frames. `flushed` runs when the connection has room for more, or never will; `bytes` must
   * not change before. Whoever waits for it between writes holds little for a reader that stopped, whatever its window.
   */
  write(bytes: Uint8Array, flushed: () => void): void {
    if (this.finished) return flushed();
    this.#stream.write(bytes, () => afterBacklog(this.#stream, flushed));
  }

  /** Ends the call with a status; later calls do nothing. */
  finish(code: StatusCode, message = ""): void {
    if (this.finished) return;
    clearTimeout(this.#deadline);
    this.#trailers = statusTrailers(code, message);
    if (!this.#stream.headersSent) {
      this.#stream.respond({ ...this.#responseHeaders, ...this.#trailers }, { endStream: true });
    } else {
      this.#stream.end();
    }
    this.#stream.resume();
    this.#abort.abort();
    // A reader that stopped, or a request body that never ends, must not hold the stream.
    this.#flush = setTimeout(() => this.#stream.close(constants.NGHTTP2_CANCEL), FLUSH_MS);
  }

  /** Ends the call with the status of an error; anything but a ConnectError is INTERNAL. */
  fail(error: unknown): void {
    const status = ConnectError.from(error, Code.Internal);
    this.finish(status.code, status.rawMessage);
  }

  #startDeadline(): void {
    const timeout = parseTimeout(this.headers["grpc-timeout"] as string | undefined);
    if (timeout === undefined || timeout > MAX_TIMER_MS) return;
    this.#deadline = setTimeout(() => this.finish(Code.DeadlineExceeded, "Deadline exceeded"), timeout);
  }

  #close(): void {
    if (this.#closed) return;
    this.#closed = true;
    clearTimeout(this.#deadline);
    clearTimeout(this.#flush);
    this.#abort.abort();
  }
}
