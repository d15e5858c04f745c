import assert from "node:assert/strict";
import { exitCodeOf, oneLine, TextRequested, UsageError } from "./errors.ts";
import {
  integer,
  interfaceName,
  listenAddress,
  nonEmpty,
  oneOf,
  port,
  positiveNumber,
  powerOfTwo,
  regularExpression,
} from "./values.ts";

/** The parser refuses each text with a UsageError that names the flag and the value. */
function refuses(parse: (text: string) => unknown, texts: string[], expected: RegExp): void {
  for (const text of texts) {
    assert.throws(() => parse(text), (error: unknown) => {
      assert.ok(error instanceof UsageError, `${text}: ${error}`);
      assert.ok(error.message.includes(`--flag ${JSON.stringify(text)}`), error.message);
      assert.match(error.message, expected);
      return true;
    });
  }
}

Deno.test("integer() takes whole numbers in range and nothing else", () => {
  const parse = integer("--flag", 1, 10);
  assert.equal(parse("1"), 1);
  assert.equal(parse("10"), 10);
  refuses(parse, ["0", "11", "", "1.5", "1e1", "0x2", "-3", " 4", "ten", "99999999999999999999"], /from 1 to 10/);
});

Deno.test("port() ends at 65535", () => {
  assert.equal(port("--flag")("65535"), 65535);
  assert.equal(port("--flag")("0"), 0);
  refuses(port("--flag"), ["65536", "http"], /from 0 to 65535/);
});

Deno.test("powerOfTwo() names a power of two that would do", () => {
  const parse = powerOfTwo("--flag", 16, 1 << 20);
  assert.equal(parse("16"), 16);
  assert.equal(parse("65536"), 65536);
  refuses(parse, ["1000"], /for example 1024/);
  refuses(parse, ["0", "8", "x"], /for example 16/);
  refuses(parse, ["99999999"], /for example 1048576/);
});

Deno.test("oneOf() lists what it takes", () => {
  const parse = oneOf("--flag", ["auto", "tcx"]);
  assert.equal(parse("tcx"), "tcx");
  refuses(parse, ["TCX", "", "constructor"], /one of auto, tcx/);
});

Deno.test("positiveNumber() takes decimals above zero", () => {
  assert.equal(positiveNumber("--flag")("0.5"), 0.5);
  refuses(positiveNumber("--flag"), ["0", "-1", "", "Infinity", "1e400", "fast"], /greater than 0/);
});

Deno.test("listenAddress() takes both families, brackets and nothing", () => {
  const parse = listenAddress("--flag");
  assert.deepEqual(["", "127.0.0.1", "::", "[::1]"].map(parse), ["", "127.0.0.1", "::", "::1"]);
  refuses(parse, ["localhost", "1.2.3", "::1:4244]", "10.0.0.1:4244"], /IPv4 or IPv6/);
});

Deno.test("interfaceName() follows the kernel's rule", () => {
  const parse = interfaceName("--flag");
  assert.equal(parse("eth0"), "eth0");
  assert.equal(parse("veth12345678901"), "veth12345678901");
  refuses(parse, ["", "veth123456789012", "a/b", "a b", "a:b", "..", "ééééééé1é"], /network interface/);
});

Deno.test("nonEmpty() and regularExpression() say what they wanted", () => {
  assert.equal(nonEmpty("--flag", "a path")("x"), "x");
  refuses(nonEmpty("--flag", "a path"), ["", "  "], /a path/);
  assert.ok(regularExpression("--flag")("^veth").test("veth0"));
  refuses(regularExpression("--flag"), ["(", "[z-a]"], /regular expression/);
});

Deno.test("exitCodeOf() is 2 for usage, 0 for a requested text, 1 otherwise", () => {
  assert.equal(exitCodeOf(new UsageError("x")), 2);
  assert.equal(exitCodeOf(new TextRequested("x")), 0);
  assert.equal(exitCodeOf(new Error("x")), 1);
  assert.equal(exitCodeOf("x"), 1);
});

Deno.test("oneLine() joins causes, drops repeats and line breaks", () => {
  const error = new Error("Cannot load x", { cause: new Error("EPERM\n  try root") });
  assert.equal(oneLine(error), "Cannot load x: EPERM; try root");
  assert.equal(oneLine(new Error("outer: inner", { cause: new Error("inner") })), "outer: inner");
  assert.equal(oneLine("plain"), "plain");
});
