/** Prints the body of an HTTP GET; exit code 1 unless the status is 200. The URL is the only argument. */
const response = await fetch(Deno.args[0], { signal: AbortSignal.timeout(5000) });
await response.body?.pipeTo(Deno.stdout.writable);
if (response.status !== 200) {
  console.error(`GET ${Deno.args[0]} answered ${response.status}`);
  Deno.exit(1);
}
