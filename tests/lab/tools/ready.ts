/** Asks a URL until the answer is 200, prints `ready`, and ends; exit code 1 after the given number of seconds. */
const [url, seconds] = Deno.args;
const deadline = performance.now() + Number(seconds) * 1000;
console.log("asking");
while (performance.now() < deadline) {
  const status = await fetch(url, { signal: AbortSignal.timeout(1000) }).then(async (response) => {
    await response.body?.cancel();
    return response.status;
  }, () => 0);
  if (status === 200) {
    console.log("ready");
    Deno.exit(0);
  }
  await new Promise((resolve) => setTimeout(resolve, 5));
}
Deno.exit(1);
