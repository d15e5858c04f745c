import assert from "node:assert/strict";
import { create } from "@bufbuild/protobuf";
import { LostEventSchema } from "../../proto/gen/flow/flow_pb.ts";
import { event, fixture } from "../flow/test_support.ts";
import { flowRate } from "./flow_rate.ts";

const NOW = 1_700_000_000;

/** The rate of a store that holds flows of these ages, in seconds. */
function rate(ages: readonly number[], capacity = 64): number {
  const flows = fixture({ capacity });
  for (const age of ages) flows.push(event({ ip_version: 4 }), { wall: [NOW - age, 0] });
  flows.store.pushLost(create(LostEventSchema), NOW, 0);
  return flowRate(flows.store, flows.view, NOW * 1000);
}

const spread = (count: number, span: number) => Array.from({ length: count }, (_, i) => span - (i * span) / count);

Deno.test("flowRate() is the flows of the last minute by sixty", () => {
  assert.equal(rate(spread(30, 60)), 0.5);
  assert.equal(rate([100, 90, 80, ...spread(9, 30)]), 0.15);
  assert.equal(rate([1]), 1 / 60);
});

Deno.test("flowRate() of a store that wrapped in less than a minute is over what it holds", () => {
  assert.equal(rate(spread(100, 50)).toFixed(1), "2.0");
});

Deno.test("flowRate() is 0 without recent flows, and never infinite", () => {
  assert.equal(rate([]), 0);
  assert.equal(rate([61, 62]), 0);
  assert.equal(rate(Array(200).fill(0)), 0);
});

Deno.test("flowRate() of a store larger than what it looks at is the same", () => {
  const many = 2 ** 17;
  // 100,000 flows a minute ago or later, the others before.
  const ages = (inside: number) => Array.from({ length: many }, (_, i) => i < many - inside ? 120 : 30);
  assert.equal(rate(ages(100_000), many * 2), 100_000 / 60);
  assert.equal(rate(ages(70_000), many * 2), 70_000 / 60);
  // Wrapped: what the store holds is half a minute old at most.
  assert.equal(rate(Array(many * 2).fill(30), many).toFixed(0), (many / 30).toFixed(0));
});
