/**
 * Opens short TCP connections, several at once, and closes each after one message and its echo.
 *
 *     connect.ts ADDRESS PORT SECONDS     prints {"connections": N, "failed": N}
 */
const AT_ONCE = 8;
const [hostname, port, seconds] = Deno.args;
const end = performance.now() + Number(seconds) * 1000;
const result = { connections: 0, failed: 0 };
const message = new TextEncoder().encode("hello");

async function loop(): Promise<void> {
  const answer = new Uint8Array(message.length);
  while (performance.now() < end) {
    try {
      using connection = await Deno.connect({ hostname, port: Number(port) });
      await connection.write(message);
      await connection.read(answer);
      result.connections++;
    } catch {
      result.failed++;
      // No free local port, most likely: the kernel keeps closed ones for a minute.
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
  }
}

await Promise.all(Array.from({ length: AT_ONCE }, loop));
console.log(JSON.stringify(result));
