import assert from "node:assert/strict";
import { type PartHealth, Readiness } from "./readiness.ts";

const up: PartHealth = { alive: true, ready: true };

Deno.test("Readiness passes when it has no parts, or all of them work", () => {
  const readiness = new Readiness();
  assert.equal(readiness.ready().ok, true);
  readiness.add("hubble", () => up);
  assert.deepEqual(readiness.ready(), { ok: true, reasons: [], details: [] });
});

Deno.test("Readiness: a part that has not begun fails /readyz, not /healthz", () => {
  const readiness = new Readiness();
  readiness.add(
    "names",
    () => ({ alive: true, ready: false, reason: "waiting for the operator", details: ["3 attempts"] }),
  );
  assert.equal(readiness.health().ok, true);
  assert.deepEqual(readiness.ready(), {
    ok: false,
    reasons: ["names: waiting for the operator"],
    details: ["names: 3 attempts"],
  });
});

Deno.test("Readiness: a part that no longer works fails both, and recovers", () => {
  const readiness = new Readiness();
  let state: PartHealth = { alive: false, ready: true, reason: "ring reader stalled for 31 s" };
  readiness.add("capture", () => state);
  readiness.add("hubble", () => ({ alive: true, ready: false }));
  assert.deepEqual(readiness.health().reasons, ["capture: ring reader stalled for 31 s"]);
  assert.deepEqual(readiness.ready().reasons, ["capture: ring reader stalled for 31 s", "hubble: not ready"]);
  state = up;
  assert.equal(readiness.health().ok, true);
});
