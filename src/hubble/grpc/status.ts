/** gRPC status in HTTP/2 headers and trailers, and the grpc-timeout header (gRPC over HTTP/2). */
import { Code } from "@connectrpc/connect";
import type { OutgoingHttpHeaders } from "node:http2";

/** A status code of a finished call; 0 is OK, the others are those of {@link Code}. */
export type StatusCode = 0 | Code;

const encoder = new TextEncoder();

/** Percent-encodes a status message: everything outside printable ASCII, and `%` itself. */
export function encodeMessage(message: string): string {
  let out = "";
  for (const byte of encoder.encode(message)) {
    out += byte >= 0x20 && byte <= 0x7e && byte !== 0x25
      ? String.fromCharCode(byte)
      : "%" + byte.toString(16).toUpperCase().padStart(2, "0");
  }
  return out;
}

/** The longest status message that is sent, in bytes before encoding: trailers must fit every client's header limit. */
const MAX_MESSAGE_LENGTH = 1024;

/** Trailers that end a call. */
export function statusTrailers(code: StatusCode, message = ""): OutgoingHttpHeaders {
  if (message === "") return { "grpc-status": String(code) };
  const text = message.length > MAX_MESSAGE_LENGTH ? message.slice(0, MAX_MESSAGE_LENGTH) + "…" : message;
  return { "grpc-status": String(code), "grpc-message": encodeMessage(text) };
}

const UNIT_MS: Record<string, number> = { H: 3_600_000, M: 60_000, S: 1000, m: 1, u: 1e-3, n: 1e-6 };

/**
 * Milliseconds of a grpc-timeout header, rounded up; undefined when the header is absent.
 * @throws RangeError when it is not one to eight digits and a unit.
 */
export function parseTimeout(header: string | undefined): number | undefined {
  if (header === undefined) return undefined;
  const match = /^(\d{1,8})([HMSmun])$/.exec(header);
  if (match === null) {
    throw new RangeError(`Cannot read grpc-timeout ${JSON.stringify(header)}: expected digits and a unit of HMSmun`);
  }
  return Math.ceil(Number(match[1]) * UNIT_MS[match[2]]);
}
