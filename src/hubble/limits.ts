/** What one client, or all of them, may take from the server. */
export interface Limits {
  /** Calls that one connection may have open at a time; more are refused by HTTP/2 (REFUSED_STREAM) and queued by most clients. */
  readonly maxStreams: number;
  /** Connections over all listeners; one more is closed at once. */
  readonly maxConnections: number;
  /** Largest request message, in bytes. */
  readonly maxMessageBytes: number;
  /** Largest header list of a request, in bytes as HTTP/2 counts them (RFC 9113 section 6.5.2). */
  readonly maxHeaderBytes: number;
  /** A connection without calls is closed after this many milliseconds. */
  readonly idleMs: number;
  /** A connection with calls is pinged this often, in milliseconds; one that does not answer until the next ping is closed. */
  readonly keepaliveMs: number;
}

/** Sane for a node: hundreds of followers, and no request of Hubble's clients comes near the message size. */
export const DEFAULT_LIMITS: Limits = {
  maxStreams: 1000,
  maxConnections: 1000,
  maxMessageBytes: 4 * 1024 * 1024,
  maxHeaderBytes: 16 * 1024,
  idleMs: 300_000,
  keepaliveMs: 60_000,
};
