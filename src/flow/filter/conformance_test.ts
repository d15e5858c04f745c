import { fromJson, type JsonValue } from "@bufbuild/protobuf";
import assert from "node:assert/strict";
import { FlowFilterSchema, FlowSchema } from "../../../proto/gen/flow/flow_pb.ts";
import { compileFilters, FilterError } from "./mod.ts";

/** Cases of Hubble's own tests, as facts: see `docs/filters.md`. */
interface Case {
  readonly name: string;
  readonly whitelist: readonly JsonValue[];
  readonly blacklist: readonly JsonValue[];
  readonly flow?: JsonValue;
  readonly match?: boolean;
  readonly error?: boolean;
}

const text = await Deno.readTextFile(new URL("testdata/conformance.jsonl", import.meta.url));
const cases = text.trimEnd().split("\n").map((line) => JSON.parse(line) as Case);

function compile({ whitelist, blacklist }: Case) {
  const list = (filters: readonly JsonValue[]) => filters.map((filter) => fromJson(FlowFilterSchema, filter));
  return compileFilters(list(whitelist), list(blacklist));
}

Deno.test("Conformance cases on messages", async (t) => {
  for (const one of cases) {
    await t.step(one.name, () => {
      if (one.error) assert.throws(() => compile(one), FilterError);
      else assert.equal(compile(one).matchesFlow(fromJson(FlowSchema, one.flow!)), one.match);
    });
  }
});
