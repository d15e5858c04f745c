import assert from "node:assert/strict";
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { Code, ConnectError } from "@connectrpc/connect";
import { GetFlowsRequestSchema } from "../../proto/gen/observer/observer_pb.ts";
import { compareTime, type FlowQuery, flowQuery } from "./flow_query.ts";

function query(request: MessageInitShape<typeof GetFlowsRequestSchema>): Promise<FlowQuery> {
  return flowQuery(create(GetFlowsRequestSchema, request));
}

async function refusal(request: MessageInitShape<typeof GetFlowsRequestSchema>): Promise<ConnectError> {
  try {
    await query(request);
  } catch (error) {
    assert.ok(error instanceof ConnectError);
    return error;
  }
  throw new assert.AssertionError({ message: "request was accepted" });
}

Deno.test("flowQuery() reads number, first and follow", async () => {
  const { matcher, ...range } = await query({});
  assert.deepEqual(range, { limit: Infinity, first: false, follow: false });
  assert.ok(matcher.matchesAll);
  assert.equal((await query({ number: 20n, first: true })).limit, 20);
  assert.ok((await query({ number: (1n << 64n) - 1n })).limit > 1e19);
});

Deno.test("flowQuery() refuses first with follow", async () => {
  const error = await refusal({ first: true, follow: true });
  assert.deepEqual([error.code, error.rawMessage], [Code.InvalidArgument, "first cannot be specified with follow"]);
});

Deno.test("flowQuery() takes times of the years 1 to 9999 and no others", async () => {
  assert.deepEqual((await query({ since: { seconds: 5n, nanos: 7 } })).since, { seconds: 5, nanos: 7 });
  assert.deepEqual((await query({ until: { seconds: -62135596800n } })).until, { seconds: -62135596800, nanos: 0 });
  for (
    const time of [{ seconds: -62135596801n }, { seconds: 253402300800n }, { nanos: -1 }, { nanos: 1_000_000_000 }]
  ) {
    for (const name of ["since", "until"]) {
      const error = await refusal({ [name]: time });
      assert.equal(error.code, Code.InvalidArgument);
      assert.match(error.rawMessage, new RegExp(`^Invalid ${name} time: .*seconds`));
    }
  }
});

Deno.test("flowQuery() names the path of a field mask that Flow does not have", async () => {
  assert.deepEqual((await query({ fieldMask: { paths: ["source.pod_name"] } })).mask?.key, "source.pod_name");
  assert.equal((await query({ fieldMask: { paths: [] } })).mask, undefined);
  const error = await refusal({ fieldMask: { paths: ["time", "no_such"] } });
  assert.equal(error.code, Code.InvalidArgument);
  assert.match(error.rawMessage, /invalid fieldmask.*no_such/);
});

Deno.test("flowQuery() makes INVALID_ARGUMENT of a filter that does not compile, with Hubble's text", async () => {
  assert.equal((await query({ whitelist: [{ protocol: ["tcp"] }] })).matcher.matchesAll, false);
  const error = await refusal({ blacklist: [{ protocol: ["xyz"] }] });
  assert.equal(error.code, Code.InvalidArgument);
  assert.match(error.rawMessage, /invalid protocol filter: unknown protocol: "xyz"/);
});

Deno.test("flowQuery() loads what an expression needs", async () => {
  const { matcher } = await query({ blacklist: [{ experimental: { celExpression: ["_flow.verdict == 1"] } }] });
  assert.equal(matcher.matchesAll, false);
  const error = await refusal({ whitelist: [{ experimental: { celExpression: ["1 +"] } }] });
  assert.match(error.rawMessage, /error compiling CEL expression/);
});

Deno.test("compareTime() orders by seconds, then nanoseconds", () => {
  assert.ok(compareTime(5, 0, { seconds: 4, nanos: 999 }) > 0);
  assert.ok(compareTime(5, 1, { seconds: 5, nanos: 2 }) < 0);
  assert.equal(compareTime(5, 2, { seconds: 5, nanos: 2 }), 0);
});
