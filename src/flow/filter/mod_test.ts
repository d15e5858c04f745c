import { create, type MessageInitShape } from "@bufbuild/protobuf";
import assert from "node:assert/strict";
import { FlowFilterSchema, FlowSchema, LostEventSchema } from "../../../proto/gen/flow/flow_pb.ts";
import { event, fixture, v4 } from "../test_support.ts";
import { recordToFlow } from "../to_flow.ts";
import { compileFilter } from "./compile.ts";
import { makeBudget } from "./limits.ts";
import { compileFilters, FilterError, LIMITS, prepareFilters } from "./mod.ts";

// Expressions are compiled by what is loaded with the first request that has one.
await prepareFilters([create(FlowFilterSchema, { experimental: { celExpression: ["true"] } })], []);

type Init = MessageInitShape<typeof FlowFilterSchema>;
const filters = (...all: Init[]) => all.map((one) => create(FlowFilterSchema, one));
const many = (count: number, make: (i: number) => Init) => filters(...Array.from({ length: count }, (_, i) => make(i)));

/** Compiles and matches one record and its message, which must agree; returns the answer and the milliseconds. */
function timed(whitelist: Init[]): { answer: boolean; ms: number } {
  const view = fixture().push(event({ ip_version: 4, protocol: 6, dst_port: 80, dst_addr: v4(10, 0, 0, 2) }));
  const flow = recordToFlow(view), all = filters(...whitelist), start = performance.now();
  const matcher = compileFilters(all, []), answer = matcher.matches(view);
  assert.equal(matcher.matchesFlow(flow), answer);
  return { answer, ms: performance.now() - start };
}

Deno.test("compileFilters() tells when nobody needs to ask", () => {
  assert.equal(compileFilters([], []).matchesAll, true);
  assert.equal(compileFilters(filters({}, { sourceIp: ["::1"] }), []).matchesAll, true);
  assert.equal(compileFilters(filters({ sourceIp: ["::1"] }), []).matchesAll, false);
  assert.equal(compileFilters([], filters({ sourceIp: ["::1"] })).matchesAll, false);
});

Deno.test("An empty filter in the blacklist hides everything, but lost events", () => {
  const matcher = compileFilters(filters({}), filters({})), { store, view, push } = fixture();
  assert.equal(matcher.matches(push(event({}))), false);
  assert.equal(matcher.matchesFlow(create(FlowSchema, {})), false);
  const position = store.head;
  store.pushLost(create(LostEventSchema, { numEventsLost: 3n }), 1, 0);
  assert.equal(matcher.matches(view.moveTo(position)), true);
});

Deno.test("A stored message is matched as one", () => {
  const matcher = compileFilters(filters({ httpMethod: ["get"] }), []), { store, view } = fixture();
  store.pushMessage(create(FlowSchema, { l7: { record: { case: "http", value: { method: "GET" } } } }));
  store.pushMessage(create(FlowSchema, { l7: { record: { case: "dns", value: {} } } }));
  assert.deepEqual([0, 1].map((position) => matcher.matches(view.moveTo(position))), [true, false]);
});

Deno.test("Every field of FlowFilter is compiled", () => {
  const values: Record<string, unknown> = {
    experimental: { celExpression: ["true"] },
    sourcePort: ["1"],
    destinationPort: ["1"],
    httpStatusCode: ["200"],
    protocol: ["tcp"],
    ipTraceId: [1n],
  };
  for (const { localName, message, enum: names, scalar } of FlowFilterSchema.fields) {
    // An address, a name, a pattern and a label at once.
    const value = values[localName] ?? [message ? {} : names || scalar === 13 ? 1 : scalar === 8 ? true : "1.1.1.1/32"];
    const filter = create(FlowFilterSchema, { [localName]: value });
    if (localName.endsWith("Label") || localName === "nodeLabels") filter[localName as "nodeLabels"] = ["a"];
    if (localName.endsWith("Fqdn")) filter[localName as "sourceFqdn"] = ["a"];
    assert.equal(compileFilter(filter, makeBudget()).flow.length, 1, localName);
  }
});

Deno.test("Every field of FlowFilter is in the documentation", async () => {
  const text = await Deno.readTextFile(new URL("../../../docs/filters.md", import.meta.url));
  for (const { name, number } of FlowFilterSchema.fields) {
    const shown = name === "experimental" ? "`experimental.cel_expression` 999.1" : `\`${name}\` ${number}`;
    assert.ok(text.includes(shown), shown);
  }
  for (const limit of Object.values(LIMITS)) {
    if (limit !== LIMITS.rememberingFields) assert.ok(text.includes(`| ${limit.toLocaleString("en")} `), `${limit}`);
  }
});

Deno.test("compileFilters() reports the first mistake of the request, also where it merges filters", () => {
  const wrong = filters({ sourcePod: ["a"] }, { protocol: ["first"] }, { sourcePod: [""] }, { protocol: ["x"] });
  assert.throws(() => compileFilters(wrong, []), { message: 'invalid protocol filter: unknown protocol: "first"' });
  assert.throws(() => compileFilters(filters({ sourcePod: ["a"] }, { sourcePod: [""] }), filters({ uuid: ["a"] })), {
    message: "invalid filter, name must not be empty",
  });
  const two = filters({ sourcePort: ["x"], nodeName: [""], protocol: ["y"] });
  assert.throws(() => compileFilters(two, []), { message: 'invalid protocol filter: unknown protocol: "y"' });
});

Deno.test("compileFilters() tolerates fields that it does not know", () => {
  const [filter] = filters({ destinationPort: ["80"] });
  filter.$unknown = [{ no: 4711, wireType: 0, data: new Uint8Array([1]) }];
  const [unknown] = filters({});
  unknown.$unknown = filter.$unknown;
  const view = fixture().push(event({ protocol: 6, dst_port: 80 }));
  assert.equal(compileFilters([filter], []).matches(view), true);
  assert.equal(compileFilters([unknown], []).matchesAll, true);
});

Deno.test("Ten thousand filters take bounded time, of one field or of several", () => {
  const last = timed(
    [...Array(9_999).keys()].map((i) => ({ destinationIp: [`172.16.${i >> 8}.${i & 255}`] }))
      .concat([{ destinationIp: ["10.0.0.2"] }]),
  );
  assert.equal(last.answer, true);
  assert.ok(last.ms < 15_000, `${last.ms} ms`);
  const pairs = timed(
    Array.from({ length: 10_000 }, (_, i) => ({ destinationPort: [`${i + 1000}`], sourcePod: ["/x"] })),
  );
  assert.equal(pairs.answer, false);
  assert.ok(pairs.ms < 15_000, `${pairs.ms} ms`);
  const labels = timed(Array.from({ length: 10_000 }, (_, i) => ({ sourceLabel: [`app=v${i}`] })));
  assert.equal(labels.answer, false);
  assert.ok(labels.ms < 15_000, `${labels.ms} ms`);
});

Deno.test("What would take too long is refused by name", () => {
  const refused = (whitelist: Init[], message: RegExp) =>
    assert.throws(() => compileFilters(filters(...whitelist), []), (error: unknown) => {
      assert.ok(error instanceof FilterError);
      assert.match(error.message, message);
      return true;
    });
  const start = performance.now();
  refused(Array.from({ length: LIMITS.filters + 1 }, () => ({})), /^20001 filters: at most 20000 are matched at once$/);
  refused([{ dnsQuery: ["a".repeat(5000)] }], /^invalid DNS query filter: .*5000 characters: expected at most 4096$/);
  refused([{ httpUrl: ["((a{100}){100}){100}"] }], /invalid http url filter: .*invalid repeat count: `\{100\}`$/);
  refused(
    Array.from({ length: 10_000 }, (_, i) => ({ dnsQuery: [`^host-${i}\\.example\\.com$`] })),
    /more than 5000 instructions in regular expressions in one request$/,
  );
  assert.ok(performance.now() - start < 15_000);
});

Deno.test("A regular expression that explodes elsewhere takes linear time", () => {
  const query = `${"a".repeat(20_000)}!`;
  const flow = create(FlowSchema, { l7: { record: { case: "dns", value: { query } } } });
  for (const pattern of ["^(a+)+$", "(a|a)*b", "(.*)*(.*)*(.*)*x", "(x+x+)+y", "^(?:a?){50}a{50}$"]) {
    const start = performance.now();
    assert.equal(compileFilters(filters({ dnsQuery: [pattern] }), []).matchesFlow(flow), false);
    assert.ok(performance.now() - start < 10_000, pattern);
  }
});

Deno.test("Thousands of fields that depend on identities stay within bounds of memory", () => {
  const matcher = compileFilters(many(5000, (i) => ({ sourcePod: [`default/web-${i}`], reply: [false] })), []);
  const flows = fixture(), flow = flows.push(event({ is_reply: 0 }));
  assert.equal(matcher.matches(flow), false);
});
