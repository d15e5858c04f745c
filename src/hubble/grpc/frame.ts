/**
 * Length-prefixed gRPC messages of a request (gRPC over HTTP/2, section "Requests").
 *
 * | offset | size | content |
 * |---|---|---|
 * | 0 | 1 | 1 when the message is compressed with the stream's grpc-encoding, else 0 |
 * | 1 | 4 | length of the message in bytes, big-endian |
 * | 5 | n | the message |
 */
import { Code, ConnectError } from "@connectrpc/connect";
import { gunzipSync } from "node:zlib";

/** Size of the prefix in front of every message, in bytes. */
export const FRAME_PREFIX = 5;

/** Writes the prefix of an uncompressed message of `length` bytes into `out` at `at`. */
export function writePrefix(out: Uint8Array, at: number, length: number): void {
  out[at] = 0;
  out[at + 1] = length >>> 24;
  out[at + 2] = length >>> 16;
  out[at + 3] = length >>> 8;
  out[at + 4] = length;
}

/** `message` as one gRPC frame. */
export function frame(message: Uint8Array): Uint8Array {
  const out = new Uint8Array(FRAME_PREFIX + message.length);
  writePrefix(out, 0, message.length);
  out.set(message, FRAME_PREFIX);
  return out;
}

/**
 * Collects the single message of a unary or server-streaming request from the chunks that HTTP/2 delivers.
 *
 * The length is checked as soon as the prefix is there, so that an oversized message is refused before it is stored.
 */
export class RequestAssembler {
  readonly #prefix = new Uint8Array(FRAME_PREFIX);
  #prefixLength = 0;
  #message: Uint8Array | undefined;
  #filled = 0;

  constructor(readonly maxBytes: number, readonly encoding: string = "identity") {}

  /**
   * Takes the next chunk; bytes after the first message are ignored.
   * @returns the whole message, decompressed, once it is complete.
   * @throws ConnectError RESOURCE_EXHAUSTED for a message over the limit, INVALID_ARGUMENT for one that does not decompress.
   */
  push(chunk: Uint8Array): Uint8Array | undefined {
    let at = 0;
    while (this.#prefixLength < FRAME_PREFIX && at < chunk.length) this.#prefix[this.#prefixLength++] = chunk[at++];
    if (this.#prefixLength < FRAME_PREFIX) return undefined;
    if (this.#message === undefined) {
      const length = new DataView(this.#prefix.buffer).getUint32(1);
      if (length > this.maxBytes) throw tooLarge(length, this.maxBytes);
      this.#message = new Uint8Array(length);
    }
    const take = Math.min(chunk.length - at, this.#message.length - this.#filled);
    this.#message.set(chunk.subarray(at, at + take), this.#filled);
    this.#filled += take;
    return this.#filled === this.#message.length ? this.#decoded(this.#message) : undefined;
  }

  /** The error for a request body that ended before its message was complete. */
  truncated(): ConnectError {
    const got = this.#message === undefined
      ? `${this.#prefixLength} of ${FRAME_PREFIX} bytes of the message prefix`
      : `${this.#filled} of ${this.#message.length} bytes of the message`;
    return new ConnectError(`Request ended after ${got}`, Code.InvalidArgument);
  }

  #decoded(message: Uint8Array): Uint8Array {
    const flags = this.#prefix[0];
    if (flags === 0) return message;
    if (flags !== 1) {
      throw new ConnectError(`Request message has unknown flags 0x${flags.toString(16)}`, Code.InvalidArgument);
    }
    if (this.encoding === "identity") {
      throw new ConnectError("Request message is compressed without grpc-encoding", Code.Internal);
    }
    try {
      return gunzipSync(message, { maxOutputLength: this.maxBytes });
    } catch (cause) {
      if (cause instanceof RangeError) throw tooLarge(undefined, this.maxBytes);
      throw new ConnectError(
        "Request message does not decompress with gzip",
        Code.InvalidArgument,
        undefined,
        undefined,
        cause,
      );
    }
  }
}

function tooLarge(length: number | undefined, limit: number): ConnectError {
  const size = length === undefined ? "more" : `${length} bytes`;
  return new ConnectError(`Request message has ${size}, limit is ${limit} bytes`, Code.ResourceExhausted);
}
