import assert from "node:assert/strict";
import { Code, ConnectError } from "@connectrpc/connect";
import fc from "fast-check";
import { gzipSync } from "node:zlib";
import { frame, FRAME_PREFIX, RequestAssembler } from "./frame.ts";

function code(run: () => unknown): Code | undefined {
  try {
    run();
  } catch (error) {
    return error instanceof ConnectError ? error.code : undefined;
  }
  return undefined;
}

Deno.test("frame() puts flag and big-endian length before the message", () => {
  const framed = frame(new Uint8Array(300).fill(7));
  assert.deepEqual([...framed.subarray(0, FRAME_PREFIX)], [0, 0, 0, 1, 44]);
  assert.equal(framed.length, 305);
});

Deno.test("RequestAssembler gives the message back, however it was cut", () => {
  fc.assert(fc.property(fc.uint8Array({ maxLength: 200 }), fc.array(fc.nat(210), { maxLength: 5 }), (message, cuts) => {
    const framed = frame(message);
    const assembler = new RequestAssembler(1000);
    const edges = [0, ...cuts.map((cut) => Math.min(cut, framed.length)).sort((a, b) => a - b), framed.length];
    let got: Uint8Array | undefined;
    for (let i = 1; i < edges.length && got === undefined; i++) {
      got = assembler.push(framed.subarray(edges[i - 1], edges[i]));
    }
    assert.deepEqual([...got ?? []], [...message]);
    assert.notEqual(got, undefined);
  }));
});

Deno.test("RequestAssembler refuses an oversized message before its bytes arrive", () => {
  const prefix = new Uint8Array([0, 0, 0, 4, 0]);
  assert.equal(code(() => new RequestAssembler(1023).push(prefix)), Code.ResourceExhausted);
  assert.equal(code(() => new RequestAssembler(1024).push(prefix)), undefined);
  assert.throws(() => new RequestAssembler(10).push(prefix), /1024 bytes, limit is 10 bytes/);
});

Deno.test("RequestAssembler decompresses gzip up to the limit", () => {
  const message = new Uint8Array(1000).fill(3);
  const framed = frame(gzipSync(message));
  framed[0] = 1;
  assert.deepEqual(new RequestAssembler(1000, "gzip").push(framed)?.length, 1000);
  assert.equal(code(() => new RequestAssembler(999, "gzip").push(framed)), Code.ResourceExhausted);
  assert.equal(code(() => new RequestAssembler(1000, "identity").push(framed)), Code.Internal);
});

Deno.test("RequestAssembler names broken compression and unknown flags", () => {
  assert.equal(
    code(() => new RequestAssembler(100, "gzip").push(new Uint8Array([1, 0, 0, 0, 1, 9]))),
    Code.InvalidArgument,
  );
  assert.throws(() => new RequestAssembler(100).push(new Uint8Array([2, 0, 0, 0, 0])), /flags 0x2/);
});

Deno.test("RequestAssembler says how much of a truncated request it has", () => {
  const assembler = new RequestAssembler(100);
  assembler.push(new Uint8Array([0, 0]));
  assert.match(assembler.truncated().rawMessage, /2 of 5 bytes of the message prefix/);
  assembler.push(new Uint8Array([0, 0, 9, 1, 2, 3]));
  assert.match(assembler.truncated().rawMessage, /3 of 9 bytes of the message$/);
});
