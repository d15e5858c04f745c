/**
 * The client side of one server-streaming gRPC call on a connection of its own. Connections of a general client outlive
 * their calls, and on Deno an idle HTTP/2 client connection that gets GOAWAY can abort the process (denoland/deno#36788):
 * here connection and call begin and end together, and pings keep both honest.
 */
import { type ClientHttp2Session, type ClientHttp2Stream, connect as connectHttp2, constants } from "node:http2";
import { connect as connectTcp, type Socket } from "node:net";
import { connect as connectTls } from "node:tls";
import { gunzipSync } from "node:zlib";
import { guardSessions } from "../http2/guard.ts";

/** PEM texts and names for TLS. */
export interface TlsMaterial {
  readonly ca?: string;
  readonly cert?: string;
  readonly key?: string;
  readonly servername?: string;
}

/** What to call, and how long to be patient. */
export interface StreamOptions {
  /** `http://host:port` or `https://host:port`. */
  readonly url: string;
  /** `/package.Service/Method`. */
  readonly path: string;
  /** The request message. */
  readonly request: Uint8Array;
  readonly tls: TlsMaterial;
  readonly connectMs: number;
  /** A ping is sent this often; one without answer until the next ends the call. */
  readonly pingMs: number;
  /** Largest message accepted, in bytes. */
  readonly maxMessage: number;
  readonly signal: AbortSignal;
}

/**
 * Messages of the call, decompressed. The connection is closed when the iteration ends.
 * @throws Error when the connection fails or the call ends with a status other than OK; its message is for people.
 */
export async function* streamMessages(options: StreamOptions): AsyncGenerator<Uint8Array> {
  options.signal.throwIfAborted();
  guardSessions();
  const socket = openSocket(options);
  // Reasons arrive as events on three objects, in no order; the first one is the one to tell.
  let failure: Error | undefined;
  let session: ClientHttp2Session | undefined;
  const fail = (error: Error) => {
    failure ??= error;
    session?.destroy();
    socket.destroy();
  };
  const abort = () => fail(new Error("stopped"));
  socket.on("error", fail);
  options.signal.addEventListener("abort", abort);
  let stopPings = () => {};
  try {
    await connected(socket, options, fail);
    if (failure !== undefined) throw failure;
    session = connectHttp2(options.url, { createConnection: () => socket });
    session.on("error", fail);
    const stream = session.request({
      [constants.HTTP2_HEADER_METHOD]: "POST",
      [constants.HTTP2_HEADER_PATH]: options.path,
      "content-type": "application/grpc",
      "grpc-accept-encoding": "gzip",
      "te": "trailers",
    });
    stream.on("error", fail);
    stopPings = pings(session, options.pingMs, fail);
    const answer = statusOf(stream);
    stream.end(frame(options.request));
    const parser = new FrameParser(options.maxMessage);
    for await (const chunk of chunks(stream, session)) yield* parser.push(chunk);
    if (failure !== undefined) throw failure;
    const problem = answer();
    if (problem !== undefined) throw new Error(problem);
  } catch (error) {
    throw failure ?? error;
  } finally {
    stopPings();
    options.signal.removeEventListener("abort", abort);
    session?.destroy();
    socket.destroy();
  }
}

function openSocket({ url, tls }: StreamOptions): Socket {
  const { hostname, port, protocol } = new URL(url);
  const host = hostname.replace(/^\[(.*)\]$/, "$1");
  if (protocol === "http:") return connectTcp({ host, port: Number(port || 80) });
  return connectTls({ host, port: Number(port || 443), ALPNProtocols: ["h2"], servername: host, ...tls });
}

function connected(socket: Socket, { url, connectMs }: StreamOptions, fail: (error: Error) => void): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(() => fail(new Error(`no connection within ${connectMs / 1000} s`)), connectMs);
    const done = () => {
      clearTimeout(timer);
      resolve();
    };
    socket.once(url.startsWith("https:") ? "secureConnect" : "connect", done);
    socket.once("close", done);
  });
}

/** A reader this far behind makes the server wait, bytes. */
const HIGH_WATER = 1 << 20;

/** What arrives on a stream, until it or its connection ends: iterating the stream itself misses the latter. */
async function* chunks(stream: ClientHttp2Stream, session: ClientHttp2Session): AsyncGenerator<Uint8Array> {
  const queue: Uint8Array[] = [];
  let waiting = 0, ended = false, wake = () => {};
  const end = () => {
    ended = true;
    wake();
  };
  stream.on("data", (chunk: Uint8Array) => {
    queue.push(chunk);
    waiting += chunk.length;
    if (waiting > HIGH_WATER) stream.pause();
    wake();
  });
  stream.on("close", end);
  session.on("close", end);
  for (;;) {
    const chunk = queue.shift();
    if (chunk !== undefined) {
      waiting -= chunk.length;
      if (waiting < HIGH_WATER / 2) stream.resume();
      yield chunk;
    } else if (ended) return;
    else await new Promise<void>((resolve) => wake = resolve);
  }
}

/** Pings for as long as the connection lives; returns how to stop. */
function pings(session: ClientHttp2Session, intervalMs: number, fail: (error: Error) => void): () => void {
  let waiting = false;
  const timer = setInterval(() => {
    if (waiting) return fail(new Error(`no answer to a ping within ${intervalMs / 1000} s`));
    waiting = true;
    session.ping((error) => {
      if (error === null) waiting = false;
    });
  }, intervalMs);
  return () => clearInterval(timer);
}

/** Watches for the status of a call; the returned function gives what is wrong with it, or undefined. */
function statusOf(stream: ClientHttp2Stream): () => string | undefined {
  let status: string | undefined, message = "", http = 0;
  const read = (headers: Record<string, unknown>) => {
    status = headers["grpc-status"] as string | undefined ?? status;
    message = headers["grpc-message"] as string | undefined ?? message;
  };
  stream.on("response", (headers) => {
    http = Number(headers[":status"]);
    read(headers);
  });
  stream.on("trailers", read);
  return () => {
    if (status === "0") return undefined;
    if (status !== undefined) return decodeMessage(message) || `gRPC status ${status}`;
    if (http !== 0 && http !== 200) return `HTTP status ${http}: no gRPC server answers there`;
    return "the connection broke";
  };
}

/** Undoes the percent encoding of grpc-message; what is not encoded properly stays as it is. */
function decodeMessage(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

function frame(message: Uint8Array): Uint8Array {
  const out = new Uint8Array(5 + message.length);
  new DataView(out.buffer).setUint32(1, message.length);
  out.set(message, 5);
  return out;
}

/** Cuts a byte stream into length-prefixed messages (gRPC over HTTP/2, "Length-Prefixed-Message"). */
export class FrameParser {
  readonly #maxMessage: number;
  readonly #prefix = new Uint8Array(5);
  #prefixLength = 0;
  #message: Uint8Array | undefined;
  #filled = 0;

  constructor(maxMessage: number) {
    this.#maxMessage = maxMessage;
  }

  /**
   * Messages that the chunk completes.
   * @throws RangeError when a message is larger than accepted.
   */
  *push(chunk: Uint8Array): Generator<Uint8Array> {
    for (let at = 0; at < chunk.length || this.#isWhole();) {
      if (this.#prefixLength < 5) {
        this.#prefix[this.#prefixLength++] = chunk[at++];
        if (this.#prefixLength < 5) continue;
        const length = new DataView(this.#prefix.buffer).getUint32(1);
        if (length > this.#maxMessage) {
          throw new RangeError(`a message of ${length} bytes, more than ${this.#maxMessage}`);
        }
        this.#message = new Uint8Array(length);
        this.#filled = 0;
      }
      const message = this.#message!;
      const take = Math.min(chunk.length - at, message.length - this.#filled);
      message.set(chunk.subarray(at, at + take), this.#filled);
      this.#filled += take;
      at += take;
      if (!this.#isWhole()) return;
      this.#prefixLength = 0;
      yield this.#prefix[0] === 1 ? gunzipSync(message, { maxOutputLength: this.#maxMessage }) : message;
    }
  }

  #isWhole(): boolean {
    return this.#prefixLength === 5 && this.#filled === this.#message!.length;
  }
}
