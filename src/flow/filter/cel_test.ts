import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { parse } from "@bufbuild/cel";
import { anyPack, StructSchema } from "@bufbuild/protobuf/wkt";
import assert from "node:assert/strict";
import { FlowFilterSchema, FlowSchema, Verdict } from "../../../proto/gen/flow/flow_pb.ts";
import { event, fixture } from "../test_support.ts";
import { compileCel } from "./cel.ts";
import { estimateSteps } from "./cel_cost.ts";
import { FilterError } from "./error.ts";
import { makeBudget } from "./limits.ts";
import { compileFilters, prepareFilters } from "./mod.ts";

// Expressions are compiled by what is loaded with the first request that has one.
await prepareFilters([create(FlowFilterSchema, { experimental: { celExpression: ["true"] } })], []);

function compile(...celExpression: string[]) {
  return compileFilters([create(FlowFilterSchema, { experimental: { celExpression } })], []);
}

function matches(expression: string, flow: MessageInitShape<typeof FlowSchema> = {}): boolean {
  return compile(expression).matchesFlow(create(FlowSchema, flow));
}

/** Numbers below n as a list literal. */
const list = (n: number) => `[${Array.from({ length: n }, (_, i) => i).join()}]`;

Deno.test("An expression sees the flow, its enums and the standard macros", () => {
  const flow = { verdict: Verdict.DROPPED, source: { labels: ["k8s:app=web", "k8s:tier=1"] } };
  assert.equal(matches("_flow.verdict == Verdict.DROPPED && _flow.verdict == flow.Verdict.DROPPED", flow), true);
  assert.equal(matches("_flow.source.labels.exists(l, l.startsWith('k8s:app='))", flow), true);
  assert.equal(matches("_flow.source.labels.all(l, l.startsWith('k8s:app='))", flow), false);
  assert.equal(matches("has(_flow.source) && !has(_flow.destination) && !has(_flow.is_reply)", flow), true);
  assert.equal(matches("_flow.destination.labels.size() == 0 && _flow.is_reply == null", flow), true);
});

Deno.test("An expression sees what a record's extensions say", () => {
  const extensions = anyPack(
    StructSchema,
    create(StructSchema, {
      fields: { bytes: { kind: { case: "numberValue", value: 1500 } } },
    }),
  );
  assert.equal(matches("_flow.extensions.bytes > 1000.0", { extensions }), true);
  assert.equal(matches("[_flow].all(f, f.extensions['bytes'] == 1500)", { extensions }), true);
  assert.equal(matches("has(_flow.extensions) && has(_flow.extensions.bytes)", { extensions }), true);
  assert.equal(matches("{'x': _flow.extensions}.x.nope == 1", { extensions }), false);
  assert.equal(matches("_flow.extensions == null || _flow.extensions.bytes > 1"), true);
  assert.equal(matches("has(_flow.extensions)"), false);
  const view = fixture().push(event({ bytes: 1500 }));
  assert.equal(compile("_flow.extensions.bytes == 1500.0").matches(view), true);
});

Deno.test("An expression that fails on a flow ends the search", () => {
  assert.equal(matches("1 / 0 == 1"), false);
  const flow = create(FlowSchema, {});
  assert.equal(compile("false", "true").matchesFlow(flow), true);
  assert.equal(compile("1 / 0 == 1", "true").matchesFlow(flow), false);
  assert.equal(compile("true", "1 / 0 == 1").matchesFlow(flow), true);
});

Deno.test("compileCel() refuses what is no condition, before any flow is met", () => {
  const cases: [string, RegExp][] = [
    ["", /^error compiling CEL expression: ERROR: <input>:1:1: Syntax error: /],
    ["_flow.verdict ==", /<input>:1:1[0-9]: Syntax error: /],
    ["'a' == 'b' &&\n 'c' ** 'd'", /<input>:2:6: Syntax error: .*\n \| {2}'c' \*\* 'd'\n \| \.\.\.\.\.\^$/],
    ["_flow", /got "flow.Flow", wanted "bool" result type$/],
    ["has(_flow)", /<input>:1:5: invalid argument to has\(\) macro/],
    ["_flow.l4.TCP.destination_port == 80", /no matching overload for '_==_' applied to '\(uint, int\)'/],
    ["_flow.nope == nope", /<input>:1:6: undefined field 'nope'\n(.|\n)*<input>:1:15: undeclared reference to 'nope'/],
    ["(".repeat(5000), /nests too deeply/],
    [`${"[".repeat(300)}1${"]".repeat(300)} == [`, /Syntax error|nests too deeply/],
  ];
  for (const [expression, message] of cases) {
    assert.throws(() => compile(expression), (error: unknown) => {
      assert.ok(error instanceof FilterError, String(error));
      assert.match(error.message, message, expression.slice(0, 40));
      return true;
    });
  }
});

Deno.test("Regular expressions in CEL are RE2's, cannot explode, and a bad one only fails its flow", () => {
  assert.equal(matches("'aaa'.matches('^a+$')"), true);
  assert.equal(matches("matches('abc', '\\\\Ab')"), false);
  assert.equal(matches("'a'.matches('[')"), false);
  assert.equal(matches("'a'.matches('(?:a{1000}){1}(?:b{1000}){1}(?:c{1000}){1}')"), false);
  const start = performance.now();
  assert.equal(matches(`'${"a".repeat(2000)}'.matches('(a*)*(a*)*b')`), false);
  assert.ok(performance.now() - start < 10_000);
});

Deno.test("estimateSteps() multiplies nested comprehensions", () => {
  const steps = (expression: string) => estimateSteps(parse(expression).expr);
  const one = steps(`${list(100)}.all(x, x >= 0)`), two = steps(`${list(100)}.all(x, ${list(100)}.all(y, x != y))`);
  assert.ok(one > 100 && one < 2000, `${one}`);
  assert.ok(two > 50 * one, `${two}`);
  // The elements of a list of lists count, also when map() made them.
  assert.ok(steps(`${list(50)}.map(x, ${list(50)}).all(l, l.all(y, y >= 0))`) > 50 * 50 * 3);
  assert.ok(steps(`{1: ${list(500)}}[1].all(x, x > 0)`) > 500);
  assert.ok(steps(`(${list(50)} + ${list(50)}).all(x, x > 0)`) > 100);
  assert.ok(steps("_flow.source.labels.exists(l, l == 'k8s:app=web')") < 1000);
});

Deno.test("compileCel() refuses expressions that would take too long", () => {
  const nested = `${list(20)}.all(a, `.repeat(5) + "true" + ")".repeat(5);
  assert.throws(() => compile(nested), /filters too large: more than \d+ steps in CEL expressions in one request$/);
  const filter = create(FlowFilterSchema, { experimental: { celExpression: ["'a' == 'b'"] } }), budget = makeBudget();
  assert.throws(() => {
    for (let i = 0; i < 10_000; i++) compileCel(filter, budget);
  }, /more than \d+ characters of CEL expressions in one request$/);
});
