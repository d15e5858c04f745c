import assert from "node:assert/strict";
import { FilterError } from "./error.ts";
import { hasKey, parseLabel, parseLabels, parseSelectorKey } from "./label.ts";
import { compileSelector } from "./selector.ts";
import { tokenize, translateKeys } from "./selector_lexer.ts";
import { parseInteger } from "./selector_validation.ts";

function selects(selector: string, ...labels: string[]): boolean {
  return compileSelector(selector)(parseLabels(labels));
}

Deno.test("parseLabel() reads source, key and value", () => {
  const cases: [string, string, string, string][] = [
    ["k8s:app=web", "k8s", "app", "web"],
    ["app=web", "unspec", "app", "web"],
    ["app", "unspec", "app", ""],
    ["k8s:a=b=c", "k8s", "a", "b=c"],
    ["a:b:c=d", "a", "b:c", "d"],
    ["$host", "reserved", "host", ""],
    ["reserved.host", "reserved", "host", ""],
    ["reserved:=host", "reserved", "host", ""],
    ["k8s.app=web", "unspec", "k8s.app", "web"],
    ["", "unspec", "", ""],
    ["=x", "unspec", "", "x"],
  ];
  for (const [text, source, key, value] of cases) {
    const label = parseLabel(text);
    assert.deepEqual([label.source, label.key, label.value], [source, key, value], text);
  }
});

Deno.test("hasKey() compares sources, except any, and CIDRs by what they cover", () => {
  const has = (label: string, key: string) => hasKey(parseLabel(label), parseSelectorKey(key));
  assert.equal(has("k8s:app=web", "any.app"), true);
  assert.equal(has("k8s:app=web", "k8s.app"), true);
  assert.equal(has("app=web", "k8s.app"), false);
  assert.equal(has("app=web", "unspec.app"), true);
  assert.equal(has("cidr:10.1.2.3/32", "cidr.10.0.0.0/8"), true);
  assert.equal(has("cidr:10.0.0.0/8", "cidr.10.0.0.0/8"), true);
  assert.equal(has("cidr:10.0.0.0/8", "cidr.10.1.2.3/32"), false);
  assert.equal(has("cidr:2001-db8--1/128", "cidr.2001-db8--/32"), true);
  assert.equal(has("cidr:10.0.0.1/32", "cidr.0--0/0"), false);
  assert.equal(has("cidr:nonsense", "cidr.nonsense"), false);
  assert.equal(has("k8s:10.0.0.0/8", "cidr.10.0.0.0/8"), false);
});

Deno.test("translateKeys() touches keys only", () => {
  const cases: [string, string][] = [
    ["app", "any.app"],
    ["!k8s:app", "!k8s.app"],
    ["a=b,k8s:c in (x:y, z),d", "any.a=b,k8s.c in (x:y, z),any.d"],
    ["a:b:c", "a.b:c"],
    [" \u00a0app , b", " \u00a0any.app , any.b"],
    ["tier>5", "any.tier>5"],
    ["a,", "any.a,"],
    ["a, ", "any.a, any."],
    ["", ""],
  ];
  for (const [selector, translated] of cases) assert.equal(translateKeys(selector), translated);
});

Deno.test("tokenize() knows operators, words and the end", () => {
  const kinds = (text: string) => tokenize(text).map(({ kind, text }) => kind === "word" ? text : kind);
  assert.deepEqual(kinds("a in (b,c)"), ["a", "in", "(", "b", ",", "c", ")", "end"]);
  assert.deepEqual(kinds("a!=b==c=!d"), ["a", "!=", "b", "==", "c", "=", "!", "d", "end"]);
  assert.deepEqual(kinds("a\0b"), ["a", "b", "end"]);
  assert.deepEqual(kinds("a \0b"), ["a", "end"]);
  assert.deepEqual(kinds("notin\u00a0<"), ["notin\u00a0", "<", "end"]);
});

Deno.test("compileSelector() selects as Kubernetes does", () => {
  const cases: [string, string[], boolean][] = [
    ["app=web", ["k8s:app=web"], true],
    ["app = web", ["k8s:app=web"], true],
    ["app!=web", [], true],
    ["app!=web", ["app"], true],
    ["app=", ["k8s:app"], true],
    ["app in ()", ["k8s:app="], true],
    ["app in ()", [], false],
    ["app notin ()", ["k8s:app=x"], true],
    ["app notin ()", ["k8s:app"], false],
    ["app in (,x)", ["app"], true],
    ["app in (in, notin)", ["app=in"], true],
    ["tier > 4", ["tier=5"], true],
    ["tier > 4", ["tier=4"], false],
    ["tier < 4", ["tier=-9223372036854775808"], true],
    ["tier < 4", ["tier=-9223372036854775809"], false],
    ["tier > 4", ["tier=1e9"], false],
    ["tier > 4", [], false],
    // Of several labels with one key, the first in the flow's order decides.
    ["app=a", ["k8s:app=a", "any:app=b"], true],
    ["app=b", ["k8s:app=a", "any:app=b"], false],
    ["any:app=b", ["k8s:app=a", "any:app=b"], false],
    ["!app,!tier", ["tier"], false],
    ["", [], true],
    ["   ", [], false],
  ];
  for (const [selector, labels, answer] of cases) {
    if (selector === "   ") assert.throws(() => selects(selector), FilterError);
    else assert.equal(selects(selector, ...labels), answer, `${selector} on ${labels}`);
  }
});

Deno.test("compileSelector() says what is wrong", () => {
  const cases: [string, string | RegExp][] = [
    ["a=b c", "found 'c', expected: ',' or 'end of string'"],
    ["a,", "found '', expected: identifier after ','"],
    ["a in b", "unable to parse requirement: found 'b' expected: '('"],
    ["a in (b", "unable to parse requirement: found '', expected: ',' or ')'"],
    ["a in (=)", "unable to parse requirement: found '=', expected: ',', ')' or identifier"],
    ["a in (b,=)", "unable to parse requirement: found '=', expected: ',', or identifier"],
    ["a (b)", "unable to parse requirement: found '(', expected: in, notin, =, ==, !=, gt, lt"],
    ["a==(", "unable to parse requirement: found '(', expected: identifier"],
    ["!!a", "unable to parse requirement: found '!', expected: identifier"],
    ["a>b", /values\[0\]: Invalid value: "b": for 'Gt', 'Lt' operators, the value must be an integer$/],
    [`${"a".repeat(60)}=b`, /name part must be no more than 63 bytes$/],
    [`a=${"b".repeat(64)}`, /values\[0\]\[any.a\]: Invalid value: "b+": must be no more than 63 bytes$/],
    ["a/b/c", /Invalid value: "any.a\/b\/c": a valid label key must consist of/],
    ["A:b/c", /Invalid value: "A.b\/c": prefix part a lowercase RFC 1123 subdomain/],
  ];
  for (const [selector, message] of cases) {
    assert.throws(() => compileSelector(selector), { name: "FilterError", message });
  }
});

Deno.test("parseInteger() takes 64 bits and no more", () => {
  assert.equal(parseInteger("9223372036854775807"), 9223372036854775807n);
  assert.equal(parseInteger("9223372036854775808"), undefined);
  assert.equal(parseInteger("-9223372036854775808"), -9223372036854775808n);
  assert.equal(parseInteger("+007"), 7n);
  for (const text of ["", "-", "1_0", "0x1", " 1", "1".repeat(1_000_000)]) assert.equal(parseInteger(text), undefined);
});

Deno.test("A huge selector takes bounded time", () => {
  const start = performance.now();
  const values = Array.from({ length: 100_000 }, (_, i) => `v${i}`).join();
  assert.equal(selects(`app in (${values})`, "k8s:app=v99999"), true);
  assert.throws(() => compileSelector("(".repeat(1_000_000)), FilterError);
  assert.throws(() => compileSelector(`a=${"b-".repeat(500_000)}`), FilterError);
  assert.ok(performance.now() - start < 15_000);
});
