/** Keeps the HTTP/2 connections of all listeners: their number, keep-alive, idle ones, and the end of all. */
import { constants, type ServerHttp2Session } from "node:http2";
import { shareConnection } from "../http2/fair.ts";
import { ignoreError } from "./grpc/call.ts";
import type { Limits } from "./limits.ts";

interface Connection {
  streams: number;
  /** When the last stream ended, or the connection began; milliseconds of the clock. */
  idleSince: number;
  /** When the last ping was sent; the beginning counts as one. */
  pingedAt: number;
  unanswered: boolean;
}

/** The open connections of a server. */
export class Sessions {
  readonly #connections = new Map<ServerHttp2Session, Connection>();
  readonly #timer: ReturnType<typeof setInterval>;
  readonly #limits: Limits;
  readonly #now: () => number;

  /** `now` gives milliseconds of a clock that never steps. */
  constructor(limits: Limits, now: () => number = () => performance.now()) {
    this.#limits = limits;
    this.#now = now;
    this.#timer = setInterval(() => this.sweep(), Math.min(limits.idleMs, limits.keepaliveMs) / 2);
    Deno.unrefTimer(this.#timer);
  }

  /** Number of open connections. */
  get size(): number {
    return this.#connections.size;
  }

  /** Takes a new connection, or closes it when there are too many. */
  add(session: ServerHttp2Session): void {
    session.on("error", ignoreError);
    if (this.#connections.size >= this.#limits.maxConnections) {
      session.goaway(constants.NGHTTP2_ENHANCE_YOUR_CALM);
      session.destroy();
      return;
    }
    const connection: Connection = { streams: 0, idleSince: this.#now(), pingedAt: this.#now(), unanswered: false };
    shareConnection(session);
    this.#connections.set(session, connection);
    session.on("stream", (stream) => {
      connection.streams++;
      stream.on("close", () => {
        connection.streams--;
        connection.idleSince = this.#now();
      });
    });
    session.on("close", () => this.#connections.delete(session));
  }

  /** Closes idle connections and pings the others; called by a timer. */
  sweep(): void {
    const now = this.#now();
    for (const [session, connection] of this.#connections) {
      if (connection.streams === 0) {
        if (now - connection.idleSince >= this.#limits.idleMs) session.close();
      } else if (connection.unanswered) {
        // A follower of a quiet node sends nothing for hours: only this tells that its machine has vanished.
        session.destroy();
      } else if (now - connection.pingedAt >= this.#limits.keepaliveMs) {
        connection.unanswered = true;
        connection.pingedAt = now;
        session.ping(() => connection.unanswered = false);
      }
    }
  }

  /** Sends GOAWAY on every connection; each closes when its streams have ended. */
  goaway(): void {
    for (const session of this.#connections.keys()) session.close();
  }

  /** Resolves when no connection is left, after `ms` milliseconds at the latest. */
  async closed(ms: number): Promise<void> {
    const end = this.#now() + ms;
    while (this.size > 0 && this.#now() < end) await new Promise((resolve) => setTimeout(resolve, 10));
  }

  /** Closes every connection now. */
  destroy(): void {
    clearInterval(this.#timer);
    for (const session of this.#connections.keys()) session.destroy();
  }
}
