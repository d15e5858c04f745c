import assert from "node:assert/strict";
import fc from "fast-check";
import { type Line, splitLines } from "./lines.ts";

const encode = (text: string) => new TextEncoder().encode(text);

async function split(chunks: readonly (string | Uint8Array)[], maxBytes = 100): Promise<Line[]> {
  async function* source() {
    for (const chunk of chunks) yield typeof chunk === "string" ? encode(chunk) : chunk;
  }
  const lines: Line[] = [];
  for await (const batch of splitLines(source(), maxBytes)) lines.push(...batch);
  return lines;
}

Deno.test("splitLines() joins what chunks cut apart", async () => {
  assert.deepEqual(await split(["a\nb", "c\n", "d", "e"]), [
    { number: 1, text: "a" },
    { number: 2, text: "bc" },
    { number: 3, text: "de" },
  ]);
});

Deno.test("splitLines() counts empty lines and trims carriage returns", async () => {
  assert.deepEqual(await split(["\n\r\na\r\n\n"]), [{ number: 3, text: "a" }]);
});

Deno.test("splitLines() gives the same lines however the bytes are cut", async () => {
  const text = fc.array(fc.string({ unit: "grapheme", maxLength: 10 }).map((s) => s.replaceAll(/\s/g, "_")), {
    maxLength: 10,
  });
  await fc.assert(fc.asyncProperty(text, fc.array(fc.nat(100)), async (lines, cuts) => {
    const bytes = encode(lines.join("\n"));
    const edges = [0, ...cuts.map((cut) => Math.min(cut, bytes.length)).sort((a, b) => a - b), bytes.length];
    const chunks = edges.slice(1).map((edge, i) => bytes.subarray(edges[i], edge));
    assert.deepEqual(await split(chunks, 1000), await split([bytes], 1000));
  }));
});

Deno.test("splitLines() names lines that are too long or no UTF-8, and goes on", async () => {
  const long = "x".repeat(60);
  const lines = await split([long, long, "\nok\n", new Uint8Array([0xc3, 0x28, 10]), "end"]);
  assert.deepEqual(lines, [
    { number: 1, problem: "120 bytes long, limit is 100" },
    { number: 2, text: "ok" },
    { number: 3, problem: "no UTF-8" },
    { number: 4, text: "end" },
  ]);
});
