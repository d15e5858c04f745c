import assert from "node:assert/strict";
import { Backoff, sleep } from "./backoff.ts";

Deno.test("Backoff doubles from 0.5 s to 60 s and begins again after a reset", () => {
  const backoff = new Backoff(() => 0);
  assert.deepEqual(Array.from({ length: 9 }, () => backoff.next()), [
    500,
    1000,
    2000,
    4000,
    8000,
    16000,
    32000,
    60000,
    60000,
  ]);
  backoff.reset();
  assert.equal(backoff.next(), 500);
});

Deno.test("Backoff takes off up to half by chance, never less than 0.5 s", () => {
  const backoff = new Backoff(() => 0.999999);
  const delays = Array.from({ length: 9 }, () => Math.round(backoff.next()));
  assert.deepEqual(delays, [500, 500, 1000, 2000, 4000, 8000, 16000, 30000, 30000]);
});

Deno.test("sleep() ends with its signal", async () => {
  const stop = new AbortController();
  const slept = sleep(60_000, stop.signal);
  stop.abort();
  await slept;
  await sleep(60_000, stop.signal);
});
