/** Traffic in the lab, by tools of our own, so that a test knows every packet that it caused. */
import type { Running } from "../../scripts/process.ts";
import type { Namespace } from "./namespace.ts";

/** Port of the TCP and UDP echo servers (RFC 862). */
export const ECHO_PORT = 7;

export type Job =
  | {
    kind: "udp";
    address: string;
    port: number;
    count: number;
    size: number;
    reply: boolean;
    gapMs: number;
    sourcePort?: number;
    /** How long to wait for each reply. Default 2,000. */
    replyMs?: number;
  }
  | {
    kind: "tcp";
    address: string;
    port: number;
    connections: number;
    messages: number;
    size: number;
    reset: boolean;
    mayFail: boolean;
  }
  | { kind: "http"; url: string }
  | { kind: "dns"; server: string; name: string; type: "A" | "AAAA" }
  | { kind: "wait"; ms: number };

export interface UdpResult {
  sent: number;
  received: number;
  sourcePort: number;
}
export interface TcpResult {
  sourcePorts: number[];
  bytesSent: number;
  bytesReceived: number;
}

/** Starts the server of a host: TCP and UDP echo on 7, HTTP on 80, DNS on 53. Returns when it listens, within `timeoutMs` (default 10,000). */
export async function serve(host: Namespace, timeoutMs?: number): Promise<Running> {
  const server = host.startDeno(["--allow-net", tool("serve.ts")]);
  try {
    await server.waitForLine((line) => line === "ready", timeoutMs === undefined ? {} : { timeoutMs });
    return server;
  } catch (error) {
    await server.stop();
    throw error;
  }
}

/**
 * Sends `count` datagrams of `size` bytes (default 64) from one port. With `reply` (the default) each waits for its echo,
 * so the exchange is `count` packets in both directions and nothing is lost unnoticed.
 */
export function sendUdp(
  from: Namespace,
  to: {
    address: string;
    port?: number;
    count: number;
    size?: number;
    reply?: boolean;
    gapMs?: number;
    sourcePort?: number;
  },
): Promise<UdpResult> {
  return perform(from, { kind: "udp", port: ECHO_PORT, size: 64, reply: true, gapMs: 0, ...to });
}

/**
 * Opens TCP connections one after the other; each sends `messages` messages of `size` bytes, waits for the echo of
 * each, and closes: with FIN, or with RST when `reset`. `mayFail` accepts refused connections.
 */
export function sendTcp(
  from: Namespace,
  to: {
    address: string;
    port?: number;
    connections?: number;
    messages?: number;
    size?: number;
    reset?: boolean;
    mayFail?: boolean;
  },
): Promise<TcpResult> {
  const defaults = { port: ECHO_PORT, connections: 1, messages: 1, size: 64, reset: false, mayFail: false };
  return perform(from, { kind: "tcp", ...defaults, ...to });
}

/** One HTTP request on a connection of its own. */
export function httpGet(from: Namespace, url: string): Promise<{ status: number; body: string }> {
  return perform(from, { kind: "http", url });
}

/** One DNS query over UDP to port 53 of `server`. */
export function dnsQuery(
  from: Namespace,
  query: { server: string; name: string; type?: "A" | "AAAA" },
): Promise<{ addresses: string[] }> {
  return perform(from, { kind: "dns", type: "A", ...query });
}

/**
 * Does several jobs one after the other in one process, where starting a process takes seconds (an emulated machine).
 * Results are in the order of the jobs; `wait` gives null.
 */
export async function sendAll(from: Namespace, jobs: readonly Job[], timeoutMs: number): Promise<unknown[]> {
  const output = await from.runDeno(["--allow-net", tool("send.ts"), ...jobs.map((job) => JSON.stringify(job))], {
    timeoutMs,
  });
  return output.stdout.trim().split("\n").map((line) => JSON.parse(line));
}

/** `count` ICMP or ICMPv6 echo requests, 10 ms apart. Throws unless all were answered. */
export async function ping(from: Namespace, address: string, count = 1): Promise<void> {
  await from.run("ping", ["-n", "-c", `${count}`, "-i", "0.01", "-W", "2", address]);
}

/** The host part of a URL for an address. */
export function urlHost(address: string): string {
  return address.includes(":") ? `[${address}]` : address;
}

async function perform<Result>(from: Namespace, job: Job): Promise<Result> {
  const output = await from.runDeno(["--allow-net", tool("send.ts"), JSON.stringify(job)]);
  return JSON.parse(output.stdout);
}

function tool(file: string): string {
  return new URL(`tools/${file}`, import.meta.url).pathname;
}
