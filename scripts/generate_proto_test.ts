import assert from "node:assert/strict";
import { differences } from "./generate_proto.ts";

Deno.test("differences() names changed, missing and extra files", () => {
  const fresh = new Map([["a", "1"], ["b", "2"], ["c", "3"]]);
  const committed = new Map([["a", "1"], ["b", "changed"], ["d", "4"]]);
  assert.deepEqual(differences(fresh, committed), ["b", "c", "d"]);
  assert.deepEqual(differences(fresh, new Map(fresh)), []);
});
