/** HTTP/2 frames by hand over TCP: for clients that break the protocol or fall silent. */

/** The first bytes of every HTTP/2 connection of a client (RFC 9113 section 3.4). */
const PREFACE = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/** Types of frames (RFC 9113 section 6). */
export const FRAME = {
  DATA: 0,
  HEADERS: 1,
  PRIORITY: 2,
  RST_STREAM: 3,
  SETTINGS: 4,
  PING: 6,
  GOAWAY: 7,
  WINDOW_UPDATE: 8,
};
export const END_HEADERS = 4;
export const END_STREAM = 1;

const encoder = new TextEncoder();

/** One frame (RFC 9113 section 4.1). */
export function frame(type: number, flags: number, stream: number, payload: Uint8Array): Uint8Array {
  const out = new Uint8Array(9 + payload.length);
  const view = new DataView(out.buffer);
  view.setUint32(0, payload.length << 8 | type);
  out[4] = flags;
  view.setUint32(5, stream);
  out.set(payload, 9);
  return out;
}

/** A header field that HPACK neither indexes nor compresses, with a name of its own (RFC 7541 section 6.2.2). */
function literal(name: string, value: string): Uint8Array {
  const [n, v] = [encoder.encode(name), encoder.encode(value)];
  if (n.length > 126 || v.length > 126) throw new RangeError("Header field too long for this encoder");
  return new Uint8Array([0, n.length, ...n, v.length, ...v]);
}

/** A connection that has sent its preface and a gRPC request on stream 1, and reads nothing on its own. */
export interface SilentClient {
  readonly connection: Deno.TcpConn;
  /** Resolves when the server has closed the connection. Drops what it sends. */
  closed(): Promise<void>;
}

/** The header block of a gRPC request. */
export function requestHeaders(path: string): Uint8Array {
  const fields = { ":method": "POST", ":scheme": "http", ":path": path, ":authority": "test" };
  const all = { ...fields, "content-type": "application/grpc", te: "trailers" };
  return new Uint8Array(Object.entries(all).flatMap(([name, value]) => [...literal(name, value)]));
}

/** Connects and sends the preface and empty settings. */
export async function openConnection(port: number): Promise<Deno.TcpConn> {
  const connection = await Deno.connect({ hostname: "127.0.0.1", port });
  await connection.write(encoder.encode(PREFACE));
  await connection.write(frame(FRAME.SETTINGS, 0, 0, new Uint8Array()));
  return connection;
}

/** Opens a stream on `path` with `body` as its request (already prefixed), and then answers nothing, pings included. */
export async function silentClient(
  port: number,
  path: string,
  body: Uint8Array,
  endStream = true,
): Promise<SilentClient> {
  const connection = await openConnection(port);
  await connection.write(frame(FRAME.HEADERS, END_HEADERS, 1, requestHeaders(path)));
  await connection.write(frame(FRAME.DATA, endStream ? END_STREAM : 0, 1, body));
  return {
    connection,
    async closed() {
      const buffer = new Uint8Array(65536);
      try {
        while (await connection.read(buffer) !== null);
      } catch {
        // Reset: closed, too.
      }
      connection.close();
    },
  };
}
