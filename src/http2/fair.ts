/** Lets the streams of one HTTP/2 connection share it. */
import { Buffer } from "node:buffer";
import type { ServerHttp2Session } from "node:http2";

/** What a client sends before its first frame (RFC 9113 section 3.4). */
const PREFACE_BYTES = 24;
const FRAME_HEADER_BYTES = 9;
/** Types and flags of frames (RFC 9113 section 6). */
const HEADERS = 1;
const CONTINUATION = 9;
const END_HEADERS = 0x04;
const PADDED = 0x08;
/** Every receiver takes frames of this size (RFC 9113 section 4.2); a client may not send larger ones unless it is told so. */
const MAX_FRAME_BYTES = 16_384;
/** The field `priority: i` as a literal that no HPACK table remembers, name and value not compressed (RFC 7541 section 6.2.2). */
const INCREMENTAL = Uint8Array.of(0, 8, ...new TextEncoder().encode("priority"), 1, 0x69);

/** The part of the internals of node:http2 that takes the bytes of the socket. */
interface SessionHandle {
  receive(bytes: Uint8Array): unknown;
}

/**
 * Makes all requests of a connection incremental in the sense of RFC 9218 section 4.2: their answers are sent in turns.
 *
 * Without that wish of the client, which no gRPC client expresses, nghttp2 (in Deno 2.9.6) sends the answers one after the other. A
 * follower that always has something to send then gets the whole connection, and a second one over the same connection, as of
 * a Relay with two users, gets nothing for as long as the client's window or the link is what limits them.
 *
 * To be called before the connection's first bytes are read: when "session" is emitted. Where the internals differ from what is
 * expected here, the connection stays as it is.
 * @returns whether the connection is shared from now on.
 */
export function shareConnection(session: ServerHttp2Session): boolean {
  const handle = sessionHandle(session);
  if (handle === undefined) return false;
  const receive = handle.receive;
  const requests = new IncrementalRequests();
  handle.receive = (bytes) => receive.call(handle, requests.rewrite(bytes));
  return true;
}

function sessionHandle(session: ServerHttp2Session): SessionHandle | undefined {
  const key = Object.getOwnPropertySymbols(session).find(({ description }) => description === "kHandle");
  const handle: unknown = key && Reflect.get(session, key);
  const found = typeof handle === "object" && handle !== null && "receive" in handle;
  return found && typeof handle.receive === "function" ? handle as SessionHandle : undefined;
}

/** Adds `priority: i` to each request in the bytes of one connection, as a client sends them, in pieces of any size. */
export class IncrementalRequests {
  /** Bytes of the preface still to come. */
  #preface = PREFACE_BYTES;
  /** A frame header that is not complete yet. */
  readonly #header = new Uint8Array(FRAME_HEADER_BYTES);
  #headerLength = 0;
  /** Bytes of the current frame's payload still to come. */
  #payload = 0;
  /** Whether the field goes behind the current frame's payload. */
  #adding = false;
  /** Stream of the request whose header block is not complete yet; 0 when there is none. */
  #open = 0;
  #lastStream = 0;

  /** Takes the next bytes of the client, and returns what the server is to read instead: the same array when nothing changes. */
  rewrite(bytes: Uint8Array): Uint8Array {
    const pieces: Uint8Array[] = [];
    // Everything before `kept` is in `pieces`, or held back in #header.
    let kept = 0;
    let at = Math.min(this.#preface, bytes.length);
    this.#preface -= at;
    while (at < bytes.length || (this.#payload === 0 && this.#adding)) {
      if (this.#payload > 0) {
        const length = Math.min(this.#payload, bytes.length - at);
        this.#payload -= length;
        at += length;
      } else if (this.#adding) {
        pieces.push(bytes.subarray(kept, at), INCREMENTAL);
        kept = at;
        this.#adding = false;
      } else {
        const began = at;
        const held = this.#headerLength;
        at = Math.min(at + FRAME_HEADER_BYTES - held, bytes.length);
        this.#header.set(bytes.subarray(began, at), held);
        this.#headerLength = held + at - began;
        const whole = this.#headerLength === FRAME_HEADER_BYTES;
        if (whole) this.#beginFrame();
        // An incomplete header waits for its rest.
        if (held > 0 || !whole || this.#adding) {
          pieces.push(bytes.subarray(kept, began));
          if (whole) pieces.push(this.#header.slice());
          kept = at;
        }
      }
    }
    if (pieces.length === 0) return bytes;
    pieces.push(bytes.subarray(kept));
    return Buffer.concat(pieces);
  }

  /** Reads the complete frame header, and makes room in it when the field is to be added. */
  #beginFrame(): void {
    this.#headerLength = 0;
    const header = this.#header;
    const view = new DataView(header.buffer);
    const length = view.getUint32(0) >>> 8;
    const [type, flags] = [header[3], header[4]];
    const stream = view.getUint32(5) & 0x7fff_ffff;
    this.#payload = length;
    // Later HEADERS of a stream are trailers, which have no priority.
    if (type === HEADERS) this.#open = stream > this.#lastStream ? stream : 0;
    else if (type !== CONTINUATION || stream !== this.#open) return;
    this.#lastStream = Math.max(this.#lastStream, stream);
    const ends = (flags & END_HEADERS) !== 0;
    // Padding comes after the header block: whoever pads keeps the order of nghttp2. No gRPC library does.
    const padded = type === HEADERS && (flags & PADDED) !== 0;
    this.#adding = this.#open !== 0 && ends && !padded && length + INCREMENTAL.length <= MAX_FRAME_BYTES;
    if (ends || padded) this.#open = 0;
    if (!this.#adding) return;
    view.setUint32(0, (length + INCREMENTAL.length) * 256 + type);
  }
}
