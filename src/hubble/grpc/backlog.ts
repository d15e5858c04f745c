/** What a connection's socket has not taken yet. */
import type { Http2Session, Http2Stream } from "node:http2";

/**
 * How much may wait in this process for the socket of a connection, in bytes. node:http2 (in Deno 2.9.6) takes a write for done
 * when the client's window has room for it, which may be 16 MiB and more, and not when the socket does.
 */
export const MAX_BACKLOG = 512 * 1024;

/** The part of a stream that this needs. */
export type BacklogStream = Pick<Http2Stream, "session" | "once" | "off" | "closed" | "destroyed">;

/** Who waits for the socket of a connection: one listener for all its streams. */
const waiting = new WeakMap<Http2Session, Set<() => void>>();

/** Calls `done` when the connection of a stream has room for another write, at once if it has now; or when the stream is closed. */
export function afterBacklog(stream: BacklogStream, done: () => void): void {
  const { session } = stream;
  if (session === undefined || stream.closed || stream.destroyed || backlog(session) <= MAX_BACKLOG) return done();
  const waiters = waitersOf(session);
  const once = () => {
    waiters.delete(once);
    stream.off("close", once);
    done();
  };
  waiters.add(once);
  stream.once("close", once);
}

/** Bytes in this process that wait for the socket; 0 for a connection that is gone. */
function backlog(session: Http2Session): number {
  return session.destroyed ? 0 : session.socket.writableLength;
}

function waitersOf(session: Http2Session): Set<() => void> {
  const known = waiting.get(session);
  if (known !== undefined) return known;
  const waiters = new Set<() => void>();
  waiting.set(session, waiters);
  session.socket.on("drain", () => [...waiters].forEach((done) => done()));
  return waiters;
}
