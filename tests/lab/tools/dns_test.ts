import assert from "node:assert/strict";
import { answer } from "./dns.ts";

function query(name: string, type: number): Uint8Array {
  const labels = name.split(".").flatMap((label) => [label.length, ...new TextEncoder().encode(label)]);
  return Uint8Array.of(0x12, 0x34, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, ...labels, 0, 0, type, 0, 1);
}

Deno.test("answer() gives an address for A and AAAA", () => {
  for (const [type, size] of [[1, 4], [28, 16]]) {
    const question = query("web.example", type);
    const reply = answer(question);
    assert(reply !== undefined);
    assert.equal(reply.length, question.length + 12 + size);
    assert.deepEqual([...reply.subarray(0, 8)], [0x12, 0x34, 0x85, 0x80, 0, 1, 0, 1]);
    assert.deepEqual([...reply.subarray(12, question.length)], [...question.subarray(12)]);
    assert.equal(reply[reply.length - 1], 53);
  }
});

Deno.test("answer() gives no record for other types and NXDOMAIN below invalid", () => {
  assert.deepEqual([...answer(query("web.example", 15))?.subarray(2, 8) ?? []], [0x85, 0x80, 0, 1, 0, 0]);
  assert.deepEqual([...answer(query("no.invalid", 1))?.subarray(2, 8) ?? []], [0x85, 0x83, 0, 1, 0, 0]);
});

Deno.test("answer() ignores what is no query", () => {
  assert.equal(answer(new Uint8Array(3)), undefined);
  assert.equal(answer(query("web.example", 1).subarray(0, 20)), undefined);
  const response = query("web.example", 1);
  response[2] |= 0x80;
  assert.equal(answer(response), undefined);
});
