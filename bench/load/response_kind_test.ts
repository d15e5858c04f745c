import assert from "node:assert/strict";
import { create, toBinary } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { GetFlowsResponseSchema } from "../../proto/gen/observer/observer_pb.ts";
import { responseKind } from "./response_kind.ts";

const encode = (init: object) => toBinary(GetFlowsResponseSchema, create(GetFlowsResponseSchema, init));
const around = { nodeName: "n".repeat(300), time: timestampFromMs(1_700_000_000_000) };

Deno.test("responseKind() finds what a response holds, whatever stands before it", () => {
  for (const kind of ["flow", "nodeStatus", "lostEvents"] as const) {
    const bytes = encode({ responseTypes: { case: kind, value: {} } });
    assert.equal(responseKind(bytes), kind);
    assert.equal(responseKind(new Uint8Array([...encode(around), ...bytes])), kind);
    assert.equal(responseKind(new Uint8Array([...bytes, ...encode(around)])), kind);
  }
});

Deno.test("responseKind() ends on messages without a kind and on cut ones", () => {
  assert.equal(responseKind(encode(around)), undefined);
  assert.equal(responseKind(new Uint8Array()), undefined);
  assert.equal(responseKind(new Uint8Array([0xca, 0x3e, 0xff])), undefined);
});
