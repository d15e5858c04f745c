import { HOST_IDENTITY } from "../identity/make.ts";
import { type IpCache, Layer } from "../identity/ip_cache.ts";

/** How often the node's addresses are read again, in milliseconds. Addresses of a node change rarely. */
const REFRESH_INTERVAL_MS = 10_000;

/** Keeps this node's own addresses in the identity cache as `reserved:host`, and takes back those that it lost. */
export class HostAddresses {
  readonly #cache: IpCache;
  readonly #read: () => readonly string[];
  readonly #onError: (error: unknown) => void;
  #known = new Set<string>();
  #timer: ReturnType<typeof setInterval> | undefined;

  /**
   * @param read gives every address of the node, as text; loopback addresses included
   * @param onError told when a refresh fails: the addresses of the last good one stay
   */
  constructor(cache: IpCache, read: () => readonly string[], onError: (error: unknown) => void) {
    this.#cache = cache;
    this.#read = read;
    this.#onError = onError;
  }

  start(): void {
    this.refresh();
    this.#timer = setInterval(() => this.refresh(), REFRESH_INTERVAL_MS);
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  /** Compares the node's addresses with those in the cache. */
  refresh(): void {
    let now: Set<string>;
    try {
      now = new Set(this.#read());
    } catch (error) {
      this.#onError(error);
      return;
    }
    for (const address of now) if (!this.#known.has(address)) this.#cache.set(address, HOST_IDENTITY, Layer.HOST);
    for (const address of this.#known) if (!now.has(address)) this.#cache.delete(address, Layer.HOST);
    this.#known = now;
  }
}

/**
 * Every address of this network namespace's interfaces, without zone indices, and with 127.0.0.1 all of 127.0.0.0/8: a
 * resolver listens on 127.0.0.53, which no interface lists (RFC 1122 section 3.2.1.3). Needs `--allow-sys=networkInterfaces`.
 */
export function interfaceAddresses(interfaces: () => { address: string }[] = Deno.networkInterfaces): string[] {
  const addresses = interfaces().map((entry) => entry.address.split("%")[0]);
  return addresses.includes("127.0.0.1") ? [...addresses, "127.0.0.0/8"] : addresses;
}
