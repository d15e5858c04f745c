/**
 * The client of a lab host. Takes jobs as JSON, does exactly what they say one after the other, and prints what it did
 * as one line of JSON for each.
 * The jobs and their results are typed in `../traffic.ts`.
 */
import { Buffer } from "node:buffer";
import dgram from "node:dgram";
import net from "node:net";
import type { Job, TcpResult, UdpResult } from "../traffic.ts";

const REPLY_LIMIT_MS = 2000;

function payload(size: number): Uint8Array {
  return new Uint8Array(size).fill(0x61);
}

async function udp(job: Extract<Job, { kind: "udp" }>): Promise<UdpResult> {
  const socket = dgram.createSocket(job.address.includes(":") ? "udp6" : "udp4");
  await new Promise<void>((resolve) => socket.bind(job.sourcePort ?? 0, () => resolve()));
  const bytes = Buffer.from(payload(job.size));
  let received = 0;
  let onReply = () => {};
  socket.on("message", () => {
    received++;
    onReply();
  });
  for (let index = 0; index < job.count; index++) {
    const reply = new Promise<void>((resolve) => onReply = resolve);
    await new Promise<void>((resolve, reject) =>
      socket.send(bytes, job.port, job.address, (error) => error ? reject(error) : resolve())
    );
    if (job.reply) await within(reply, `reply ${index + 1} of ${job.count}`, job.replyMs ?? REPLY_LIMIT_MS);
    if (job.gapMs > 0) await new Promise((resolve) => setTimeout(resolve, job.gapMs));
  }
  const sourcePort = socket.address().port;
  // The next job may want the same port.
  await new Promise<void>((resolve) => socket.close(() => resolve()));
  return { sent: job.count, received, sourcePort };
}

async function tcp(job: Extract<Job, { kind: "tcp" }>): Promise<TcpResult> {
  const result: TcpResult = { sourcePorts: [], bytesSent: 0, bytesReceived: 0 };
  for (let index = 0; index < job.connections; index++) {
    await new Promise<void>((resolve, reject) => {
      const socket = net.connect({ host: job.address, port: job.port, noDelay: true });
      let expected = 0;
      let sent = 0;
      const next = () => {
        if (sent < job.messages) {
          sent++;
          expected += job.size;
          socket.write(payload(job.size));
          result.bytesSent += job.size;
        } else if (job.reset) {
          socket.resetAndDestroy();
        } else socket.end();
      };
      let got = 0;
      socket.on("connect", () => {
        result.sourcePorts.push(socket.localPort ?? 0);
        next();
      });
      socket.on("data", (chunk: Uint8Array) => {
        got += chunk.length;
        result.bytesReceived += chunk.length;
        if (got === expected) next();
      });
      socket.on("close", () => resolve());
      socket.on("error", (error) => job.mayFail ? resolve() : reject(error));
    });
  }
  return result;
}

async function within<T>(promise: Promise<T>, what: string, limitMs: number): Promise<T> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`No ${what} within ${limitMs} ms`)), limitMs);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}

async function perform(job: Job): Promise<unknown> {
  switch (job.kind) {
    case "udp":
      return await udp(job);
    case "tcp":
      return await tcp(job);
    case "http": {
      const response = await fetch(job.url);
      return { status: response.status, body: await response.text() };
    }
    case "dns":
      return {
        addresses: await Deno.resolveDns(job.name, job.type, { nameServer: { ipAddr: job.server, port: 53 } }),
      };
    case "wait":
      await new Promise((resolve) => setTimeout(resolve, job.ms));
      return null;
  }
}

for (const job of Deno.args) console.log(JSON.stringify(await perform(JSON.parse(job))));
