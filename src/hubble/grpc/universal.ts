/** Runs a unary handler of the connect router on an HTTP/2 stream. */
import type { UniversalHandler, UniversalServerResponse } from "@connectrpc/connect/protocol";
import { constants, type IncomingHttpHeaders, type OutgoingHttpHeaders, type ServerHttp2Stream } from "node:http2";
import { ignoreError, isOver, REQUEST_MS } from "./call.ts";

/** Answers `stream` with `handler`. Never rejects: a peer that goes away aborts the handler and that is all. */
export async function serveUniversal(
  handler: UniversalHandler,
  stream: ServerHttp2Stream,
  headers: IncomingHttpHeaders,
  extraHeaders: Readonly<Record<string, string>>,
  timeoutMs = REQUEST_MS,
): Promise<void> {
  const abort = new AbortController();
  stream.on("error", ignoreError);
  // Nothing that is answered here takes long, but the arrival of a request that never ends.
  const late = setTimeout(() => stream.close(constants.NGHTTP2_CANCEL), timeoutMs);
  stream.on("close", () => {
    clearTimeout(late);
    abort.abort();
  });
  try {
    const response = await handler({
      httpVersion: "2.0",
      url: `http://${headers[":authority"] ?? "localhost"}${headers[":path"]}`,
      method: headers[":method"] ?? "",
      header: toHeaders(headers),
      body: stream,
      signal: abort.signal,
    });
    await send(stream, response, extraHeaders);
  } catch {
    // Handlers turn their own errors into responses: what arrives here is a broken stream.
    stream.close(constants.NGHTTP2_INTERNAL_ERROR);
  }
}

async function send(
  stream: ServerHttp2Stream,
  response: UniversalServerResponse,
  extraHeaders: Readonly<Record<string, string>>,
): Promise<void> {
  if (isOver(stream)) return;
  const trailers = fromHeaders(response.trailer);
  const headers = { ":status": response.status, ...extraHeaders, ...fromHeaders(response.header) };
  if (response.body === undefined && Object.keys(trailers).length === 0) {
    stream.respond(headers, { endStream: true });
  } else {
    stream.on("wantTrailers", () => {
      if (!isOver(stream)) stream.sendTrailers(fromHeaders(response.trailer));
    });
    stream.respond(headers, { waitForTrailers: true });
    for await (const chunk of response.body ?? []) {
      if (isOver(stream)) return;
      if (!stream.write(chunk)) await drained(stream);
    }
    stream.end();
  }
  stream.resume();
}

function drained(stream: ServerHttp2Stream): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      stream.off("drain", done).off("close", done);
      resolve();
    };
    stream.on("drain", done).on("close", done);
  });
}

function toHeaders(headers: IncomingHttpHeaders): Headers {
  const out = new Headers();
  for (const [name, value] of Object.entries(headers)) {
    if (name.startsWith(":") || value === undefined) continue;
    for (const item of Array.isArray(value) ? value : [value]) out.append(name, item);
  }
  return out;
}

function fromHeaders(headers: Headers | undefined): OutgoingHttpHeaders {
  return headers === undefined ? {} : Object.fromEntries(headers);
}
