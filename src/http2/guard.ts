/** Keeps a peer's GOAWAY from ending this process; to be called by whoever opens or accepts HTTP/2 connections. */
import * as http2 from "node:http2";
import type { ClientHttp2Session, ServerHttp2Session } from "node:http2";

type Session = ClientHttp2Session | ServerHttp2Session;

let guarded = false;

/**
 * Makes `destroy()` of every HTTP/2 session take effect in the next turn of the event loop.
 *
 * Deno 2.9.6 closes an idle session while nghttp2 still processes the GOAWAY frame that caused it. nghttp2 then goes on with
 * freed memory, and the process aborts (`find_stream_on_goaway_func: Assertion ... failed`) or dies of SIGSEGV, in the client's
 * role as in the server's (denoland/deno issue 36788): any client could end the agent. In the next turn nothing is in progress.
 *
 * Calling it again does nothing. To be removed when the oldest supported Deno does without: `guard_test.ts` without the call.
 */
export function guardSessions(): void {
  if (guarded) return;
  guarded = true;
  // The class is exported, but not in Node's types.
  const { prototype } = (http2 as unknown as { Http2Session: { prototype: Session } }).Http2Session;
  const destroy = prototype.destroy;
  const destroying = new WeakSet<Session>();
  prototype.destroy = function (this: Session, error?: Error, code?: number): void {
    if (destroying.has(this)) return;
    destroying.add(this);
    setImmediate(() => destroy.call(this, error, code));
  };
}
