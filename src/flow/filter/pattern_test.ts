import assert from "node:assert/strict";
import fc from "fast-check";
import { FilterError } from "./error.ts";
import { compileDomainPatterns, compileNodePatterns } from "./pattern.ts";

Deno.test("compileDomainPatterns() matches whole names only", () => {
  const cases: [pattern: string, name: string, match: boolean][] = [
    ["cilium.io", "cilium.io", true],
    ["cilium.io", "www.cilium.io", false],
    ["cilium.io", "cilium.io.", false],
    ["cilium.io", "Cilium.io", false],
    [" CILIUM.IO. \u0085", "cilium.io", true],
    ["*.cilium.io", "docs.cilium.io", true],
    ["*.cilium.io", ".cilium.io", true],
    ["*.cilium.io", "cilium.io", false],
    ["*.cilium.io", "a.b.cilium.io", true],
    ["*", "", true],
    ["*", "a.b-c.1", true],
    ["*", "a_b", false],
    ["*_*", "a_b", true],
    ["*_*", "a_b_c", false],
    ["*", "UPPER", false],
    ["*", "é", false],
    ["a*a", "a", false],
    ["a*a", "aa", true],
    ["a*b*c", "abbc", true],
    ["a*b*c", "acb", false],
    ["a**b", "ab", true],
    ["a*", "b", false],
    ["*.cluster.local*", "x.svc.cluster.local.extra", true],
    ["a-b", "a-b", true],
    ["default/*", "x", false],
  ];
  for (const [pattern, name, match] of cases) {
    if (pattern.includes("/")) assert.throws(() => compileDomainPatterns([pattern]), FilterError);
    else assert.equal(compileDomainPatterns([pattern])(name), match, `${pattern} on ${name}`);
  }
  assert.equal(compileDomainPatterns(["a", "b*"])("bc"), true);
  assert.equal(compileDomainPatterns(["a", "b*"])("b*"), false);
});

Deno.test("compileDomainPatterns() answers as the regular expression that defines the pattern", () => {
  const symbol = fc.constantFrom("a", "b", "_", ".", "-", "*", "*");
  const text = fc.array(fc.constantFrom("a", "b", "_", ".", "-", "/"), { maxLength: 8 }).map((l) => l.join(""));
  fc.assert(
    fc.property(fc.array(symbol, { minLength: 1, maxLength: 6 }), text, (symbols, name) => {
      const pattern = `${symbols.join("")}a`;
      const escaped = pattern.replaceAll(".", "\\.").replaceAll("*", "[-.0-9a-z]*");
      assert.equal(compileDomainPatterns([pattern])(name), new RegExp(`^(?:${escaped})$`).test(name));
    }),
    { numRuns: 2000 },
  );
});

Deno.test("compileDomainPatterns() says what is wrong in Hubble's words", () => {
  const cases: [string, string][] = [
    ["", "empty pattern"],
    ["  . ", "empty pattern"],
    ["a..", "multiple trailing dots in pattern"],
    ["a b", "' ': invalid rune in pattern"],
    ["ü", "'ü': invalid rune in pattern"],
    ["a/b", "'/': invalid rune in pattern"],
  ];
  for (const [pattern, message] of cases) {
    assert.throws(() => compileDomainPatterns(["fine", pattern]), { name: "FilterError", message });
  }
});

Deno.test("compileNodePatterns() looks at cluster and node", () => {
  const cases: [pattern: string, name: string, match: boolean][] = [
    ["k8s1", "k8s1", true],
    ["k8s1", "default/k8s1", true],
    ["k8s1", "other/k8s1", true],
    ["k8s1", "Other/k8s1", false],
    ["default/k8s1", "k8s1", true],
    ["default/", "k8s1", true],
    ["other/", "k8s1", false],
    ["/k8s*", "x/k8s7", true],
    ["/", "k8s1", true],
    ["/", "", false],
    ["*", "", false],
    ["/", "a/b/c", false],
    ["k8s1", "/k8s1", false],
    ["*/k8s1", "/k8s1", true],
    ["/*", "a/", true],
    ["/", "a/b.", false],
    ["K8S1. ", "k8s1", true],
  ];
  for (const [pattern, name, match] of cases) {
    assert.equal(compileNodePatterns([pattern])(name), match, `${pattern} on ${name}`);
  }
});

Deno.test("compileNodePatterns() says what is wrong in Hubble's words", () => {
  const cases: [string, string][] = [
    ["", "empty pattern"],
    [" /x", "empty pattern"],
    ["a/b/c", "too many slashes in pattern"],
    ["a/b..", "multiple trailing dots in pattern"],
    ["a|/b", "'|': invalid rune in pattern"],
  ];
  for (const [pattern, message] of cases) {
    assert.throws(() => compileNodePatterns([pattern]), { name: "FilterError", message });
  }
});

Deno.test("A pattern of many stars takes bounded time", () => {
  const test = compileDomainPatterns([`${"*a".repeat(5000)}*b`]);
  const start = performance.now();
  assert.equal(test("a".repeat(100_000)), false);
  assert.ok(performance.now() - start < 10_000);
});
