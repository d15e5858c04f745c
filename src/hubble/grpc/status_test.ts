import assert from "node:assert/strict";
import { Code } from "@connectrpc/connect";
import { encodeMessage, parseTimeout, statusTrailers } from "./status.ts";

Deno.test("encodeMessage() percent-encodes what a header cannot hold", () => {
  assert.equal(encodeMessage('plain text, "quoted" ~'), 'plain text, "quoted" ~');
  assert.equal(encodeMessage("100 %\nµ"), "100 %25%0A%C2%B5");
});

Deno.test("statusTrailers() leaves out an empty message and shortens a long one", () => {
  assert.deepEqual(statusTrailers(0), { "grpc-status": "0" });
  assert.deepEqual(statusTrailers(Code.NotFound, "gone"), { "grpc-status": "5", "grpc-message": "gone" });
  const trailers = statusTrailers(Code.Internal, "x".repeat(100_000));
  assert.ok(String(trailers["grpc-message"]).length < 1100);
});

Deno.test("parseTimeout() reads every unit of grpc-timeout", () => {
  const cases: [string | undefined, number | undefined][] = [
    [undefined, undefined],
    ["2H", 7_200_000],
    ["3M", 180_000],
    ["4S", 4000],
    ["5m", 5],
    ["1500u", 2],
    ["1n", 1],
    ["99999999H", 99_999_999 * 3_600_000],
  ];
  for (const [header, expected] of cases) assert.equal(parseTimeout(header), expected, String(header));
  for (const bad of ["", "5", "m", "-1S", "1.5S", "123456789S", "5x"]) {
    assert.throws(() => parseTimeout(bad), /Cannot read grpc-timeout/, bad);
  }
});
