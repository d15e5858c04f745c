/** A gRPC client without a gRPC library: for requests and answers that no library would send or show. */
import { type ClientHttp2Session, type ClientHttp2Stream, connect, type SecureClientSessionOptions } from "node:http2";
import { guardSessions } from "../../src/http2/guard.ts";

/** How a call ended. */
export interface RawAnswer {
  /** HTTP status, undefined when the stream was reset first. */
  status?: number | undefined;
  /** Headers of the answer, and its trailers. */
  headers: Record<string, string>;
  /** `grpc-status` of the trailers (or of the headers, when the answer has no body); undefined when there is none. */
  code?: number | undefined;
  message: string;
  /** The messages, without their prefixes. */
  messages: Uint8Array[];
  /** HTTP/2 error code of the stream; 0 when it ended in order. */
  reset: number;
}

/** What to send instead of an ordinary request. */
export interface RawOptions {
  headers?: Record<string, string | string[]>;
  /** Bytes of the body as they are; by default `message` with its prefix. */
  body?: Uint8Array;
  /** Called with the stream after the request is sent. */
  with?: (stream: ClientHttp2Stream) => void;
  /** Leaves the request half of the stream open. */
  keepOpen?: boolean;
}

/** Opens a connection, which the caller has to close. */
export function openSession(authority: string, options: SecureClientSessionOptions = {}): Promise<ClientHttp2Session> {
  guardSessions();
  return new Promise((resolve, reject) => {
    const session = connect(authority, options);
    session.once("error", reject);
    session.once("connect", () => {
      session.off("error", reject);
      session.on("error", () => {});
      resolve(session);
    });
  });
}

/** One call on an open connection. */
export function rawCall(
  session: ClientHttp2Session,
  path: string,
  message: Uint8Array = new Uint8Array(),
  options: RawOptions = {},
): Promise<RawAnswer> {
  return new Promise((resolve) => {
    const stream = session.request({
      ":method": "POST",
      ":path": path,
      "content-type": "application/grpc",
      te: "trailers",
      ...options.headers,
    });
    const answer: RawAnswer = { headers: {}, message: "", messages: [], reset: 0 };
    const reader = new MessageReader();
    const take = (headers: object) => {
      for (const [name, value] of Object.entries(headers)) answer.headers[name] = String(value);
    };
    stream.on("response", (headers) => {
      answer.status = headers[":status"];
      take(headers);
    });
    stream.on("trailers", take);
    stream.on("data", (chunk: Uint8Array) => answer.messages.push(...reader.push(chunk)));
    stream.on("error", () => {});
    stream.on("close", () => {
      const code = answer.headers["grpc-status"];
      answer.code = code === undefined ? undefined : Number(code);
      answer.message = decodeURIComponent(answer.headers["grpc-message"] ?? "");
      answer.reset = stream.rstCode ?? 0;
      resolve(answer);
    });
    const body = options.body ?? prefixed(message);
    if (options.keepOpen) stream.write(body);
    else stream.end(body);
    options.with?.(stream);
  });
}

/** A message with the prefix of an uncompressed gRPC frame. */
export function prefixed(message: Uint8Array): Uint8Array {
  const out = new Uint8Array(5 + message.length);
  new DataView(out.buffer).setUint32(1, message.length);
  out.set(message, 5);
  return out;
}

/** Splits what arrives into messages. */
export class MessageReader {
  #rest = new Uint8Array();

  /** The messages that are complete with these bytes. */
  push(chunk: Uint8Array): Uint8Array[] {
    const bytes = new Uint8Array(this.#rest.length + chunk.length);
    bytes.set(this.#rest);
    bytes.set(chunk, this.#rest.length);
    const view = new DataView(bytes.buffer);
    const messages: Uint8Array[] = [];
    let at = 0;
    while (at + 5 <= bytes.length) {
      const end = at + 5 + view.getUint32(at + 1);
      if (end > bytes.length) break;
      messages.push(bytes.subarray(at + 5, end));
      at = end;
    }
    this.#rest = bytes.slice(at);
    return messages;
  }
}
