/**
 * The server of a lab host: TCP and UDP echo on port 7, HTTP on port 80, a small DNS server on UDP port 53, for IPv4 and
 * IPv6. Prints `ready`, and ends when its standard input closes, so that it never outlives a test.
 */
import { Buffer } from "node:buffer";
import dgram from "node:dgram";
import { answer } from "./dns.ts";

async function echo(): Promise<void> {
  for await (const connection of Deno.listen({ hostname: "::", port: 7 })) {
    // The peer may reset; that ends this connection and nothing else.
    connection.readable.pipeTo(connection.writable).catch(() => {});
  }
}

function datagrams(port: number, reply: (request: Uint8Array) => Uint8Array | undefined): Promise<void> {
  const socket = dgram.createSocket({ type: "udp6", recvBufferSize: 4 << 20 });
  socket.on("message", (request, from) => {
    const bytes = reply(request);
    if (bytes !== undefined) socket.send(Buffer.from(bytes), from.port, from.address);
  });
  return new Promise((resolve) => socket.bind(port, "::", () => resolve()));
}

void echo();
await datagrams(7, (request) => request);
await datagrams(53, answer);
Deno.serve({
  hostname: "::",
  port: 80,
  onListen: () => console.log("ready"),
}, (request) => new Response(`${request.method} ${new URL(request.url).pathname}\n`));

for await (const _ of Deno.stdin.readable);
Deno.exit(0);
