import assert from "node:assert/strict";
import { Profile } from "pprof-format";
import { type CpuProfile, ProfilerBusyError, takeCpuProfile, toPprof } from "./profile.ts";

const frame = (functionName: string) => ({ functionName, url: "file:///x.ts", lineNumber: 4 });
const profile: CpuProfile = {
  nodes: [
    { id: 1, callFrame: frame("(root)"), children: [2] },
    { id: 2, callFrame: frame("outer"), children: [3] },
    { id: 3, callFrame: frame("inner") },
  ],
  startTime: 0,
  endTime: 3000,
  samples: [3, 3, 2],
  timeDeltas: [1000, 1500, 500],
};

Deno.test("toPprof() sums samples and time per stack, leaf first, without the root", () => {
  const decoded = Profile.decode(toPprof(profile).encode());
  const samples = decoded.sample.map((s) => ({ stack: s.locationId.map(Number), value: s.value.map(Number) }));
  assert.deepEqual(samples, [{ stack: [3, 2], value: [2, 2_500_000] }, { stack: [2], value: [1, 500_000] }]);
  const names = decoded.function.map((f) => decoded.stringTable.strings[Number(f.name)]);
  assert.deepEqual(names, ["(root)", "outer", "inner"]);
  assert.deepEqual(decoded.sampleType.map((t) => decoded.stringTable.strings[Number(t.unit)]), [
    "count",
    "nanoseconds",
  ]);
});

Deno.test("toPprof() accepts a profile without samples", () => {
  const decoded = Profile.decode(toPprof({ nodes: profile.nodes, startTime: 0, endTime: 0 }).encode());
  assert.equal(decoded.sample.length, 0);
});

Deno.test("takeCpuProfile() gives a gzip-compressed profile of this process and refuses a second one meanwhile", async () => {
  const first = takeCpuProfile(0.1, 1000);
  await assert.rejects(takeCpuProfile(0.1, 1000), ProfilerBusyError);
  const bytes = await first;
  assert.deepEqual([...bytes.subarray(0, 2)], [0x1f, 0x8b]);
  const plain = await new Response(new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip")))
    .arrayBuffer();
  assert.ok(Profile.decode(new Uint8Array(plain)).location.length > 0);
});

Deno.test("takeCpuProfile() ends early when the caller goes away", async () => {
  const started = performance.now();
  await takeCpuProfile(30, 1000, AbortSignal.timeout(50));
  assert.ok(performance.now() - started < 10_000);
});
