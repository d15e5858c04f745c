import assert from "node:assert/strict";
import { timestampMs } from "@bufbuild/protobuf/wkt";
import { type LostEvent, LostEventSource } from "../../proto/gen/flow/flow_pb.ts";
import { LossNotes } from "./loss_notes.ts";

class Notes {
  readonly pushed: { lost: LostEvent; seconds: number; nanos: number }[] = [];
  flushes = 0;
  pushLost(lost: LostEvent, seconds: number, nanos: number): number {
    return this.pushed.push({ lost, seconds, nanos });
  }
  flushBatch(): void {
    this.flushes++;
  }
}

const loss = (cpu: number, count: number, first: bigint, last: bigint) => ({
  cpu,
  count,
  firstNanos: first,
  lastNanos: last,
});

Deno.test("LossNotes makes one note of a turn's losses, with their sum and whole span", async () => {
  const store = new Notes();
  const notes = new LossNotes(store);
  notes.note(loss(0, 3, 1_000_000_000n, 2_000_000_000n));
  notes.note(loss(7, 4, 900_000_000n, 2_500_000_001n));
  assert.equal(store.pushed.length, 0);
  await Promise.resolve();
  assert.equal(store.pushed.length, 1);
  const [{ lost, seconds, nanos }] = store.pushed;
  assert.equal(lost.source, LostEventSource.PERF_EVENT_RING_BUFFER);
  assert.equal(lost.numEventsLost, 7n);
  assert.equal(lost.cpu, undefined);
  assert.deepEqual([timestampMs(lost.first!), timestampMs(lost.last!)], [900, 2500]);
  assert.deepEqual([seconds, nanos, store.flushes], [2, 500_000_001, 1]);
});

Deno.test("LossNotes names the CPU when there was but one, and starts anew each turn", async () => {
  const store = new Notes();
  const notes = new LossNotes(store);
  notes.note(loss(5, 1, 1n, 2n));
  await Promise.resolve();
  notes.note(loss(6, 2, 3n, 4n));
  await Promise.resolve();
  assert.deepEqual(store.pushed.map(({ lost }) => [lost.cpu, lost.numEventsLost]), [[5, 1n], [6, 2n]]);
});
