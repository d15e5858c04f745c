import assert from "node:assert/strict";
import { EventLoopDelay } from "./event_loop.ts";

Deno.test("EventLoopDelay.read() gives the last and the largest delay since the last read", () => {
  const delay = new EventLoopDelay();
  for (const ms of [5, 250, 10]) delay.observe(ms);
  assert.deepEqual(delay.read(), { last: 0.01, max: 0.25 });
  assert.deepEqual(delay.read(), { last: 0.01, max: 0 });
});

Deno.test("EventLoopDelay notices a blocked event loop", async () => {
  const delay = new EventLoopDelay();
  delay.start();
  const until = performance.now() + 1500;
  while (performance.now() < until);
  await new Promise((resolve) => setTimeout(resolve, 50));
  delay.stop();
  const { max } = delay.read();
  assert.ok(max >= 0.1, `largest delay ${max} s`);
});
