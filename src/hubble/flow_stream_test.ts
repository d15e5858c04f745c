import assert from "node:assert/strict";
import { create, fromBinary } from "@bufbuild/protobuf";
import { FlowSchema } from "../../proto/gen/flow/flow_pb.ts";
import { GetFlowsResponseSchema } from "../../proto/gen/observer/observer_pb.ts";
import { MessageReader } from "../../tests/interop/raw_call.ts";
import { FlowEncoder } from "../flow/encoder.ts";
import { event, type Fixture, fixture } from "../flow/test_support.ts";
import type { FlowQuery } from "./flow_query.ts";
import { FlowReader, systemClock } from "./flow_reader.ts";
import { BUFFER_SIZE, BufferPool, type FlowCall, streamFlows, Turns } from "./flow_stream.ts";

/** A call whose writes leave when the test says so. */
class FakeCall implements FlowCall {
  readonly #abort = new AbortController();
  readonly waiting: (() => void)[] = [];
  readonly written: Uint8Array[] = [];
  /** Whether writes leave at once. */
  flowing = true;

  get signal(): AbortSignal {
    return this.#abort.signal;
  }

  get finished(): boolean {
    return this.#abort.signal.aborted;
  }

  write(bytes: Uint8Array, flushed: () => void): void {
    this.written.push(bytes.slice());
    if (this.flowing) queueMicrotask(flushed);
    else this.waiting.push(flushed);
  }

  resume(): void {
    this.flowing = true;
    for (const flushed of this.waiting.splice(0)) flushed();
  }

  cancel(): void {
    this.#abort.abort();
    this.resume();
  }

  get sizes(): number[] {
    return this.written.map(({ length }) => length);
  }

  /** Flows and lost flows that were written. */
  get counts(): { flows: number; lost: number } {
    const counts = { flows: 0, lost: 0 };
    for (const message of this.written.flatMap((bytes) => new MessageReader().push(bytes))) {
      const { responseTypes } = fromBinary(GetFlowsResponseSchema, message);
      if (responseTypes.case === "lostEvents") counts.lost += Number(responseTypes.value.numEventsLost);
      else counts.flows++;
    }
    return counts;
  }
}

function stream(flows: Fixture, call: FlowCall, query: Partial<FlowQuery>): Promise<void> {
  const { store, view, context } = flows;
  const reader = new FlowReader(
    { store, view, encoder: new FlowEncoder(context), nodeName: "node-1", clock: systemClock },
    { matcher: { matchesAll: true, matches: () => true }, limit: Infinity, first: false, follow: false, ...query },
  );
  return streamFlows(call, reader, store, new BufferPool(), new Turns());
}

function push(flows: Fixture, count: number): void {
  for (let i = 0; i < count; i++) flows.push(event({ ip_version: 4, protocol: 17, src_port: i }));
  flows.store.flushBatch();
}

const turn = () => new Promise((resolve) => setTimeout(resolve, 0));

Deno.test("streamFlows() gathers history into large writes", async () => {
  const flows = fixture({ capacity: 4096 });
  push(flows, 4096);
  const call = new FakeCall();
  await stream(flows, call, {});
  assert.deepEqual(call.counts, { flows: 4096, lost: 0 });
  for (const size of call.sizes.slice(0, -1)) {
    assert.ok(size > BUFFER_SIZE - 2048 && size <= BUFFER_SIZE, `${size} bytes`);
  }
});

Deno.test("streamFlows() sends each batch of a follower as it comes", async () => {
  const flows = fixture({ capacity: 64 });
  const call = new FakeCall();
  const done = stream(flows, call, { follow: true });
  for (let i = 1; i <= 5; i++) {
    push(flows, 2);
    await turn();
    assert.equal(call.written.length, i);
  }
  call.cancel();
  await done;
  assert.deepEqual(call.counts, { flows: 10, lost: 0 });
});

Deno.test("streamFlows() holds two writes for a reader that stopped, of history and of a trickle", async () => {
  for (const trickle of [false, true]) {
    const flows = fixture({ capacity: 1024 });
    push(flows, trickle ? 0 : 1024);
    const call = new FakeCall();
    call.flowing = false;
    const done = stream(flows, call, { follow: true, ...(!trickle && { limit: 1024 }) });
    for (let i = 0; i < 50; i++) {
      push(flows, 1);
      await turn();
    }
    assert.equal(call.written.length, 2, trickle ? "trickle" : "history");
    call.resume();
    await turn();
    await turn();
    call.cancel();
    await done;
    assert.deepEqual(call.counts, { flows: trickle ? 50 : 1074, lost: 0 });
  }
});

Deno.test("streamFlows() tells a reader that stopped what it missed", async () => {
  const flows = fixture({ capacity: 64 });
  const call = new FakeCall();
  call.flowing = false;
  const done = stream(flows, call, { follow: true });
  for (let i = 0; i < 50; i++) {
    push(flows, 10);
    await turn();
  }
  call.resume();
  await turn();
  call.cancel();
  await done;
  const { flows: sent, lost } = call.counts;
  assert.equal(sent + lost, 500);
  assert.ok(lost > 400, `${lost} lost`);
});

Deno.test("streamFlows() lets timers run while it has much to send", async () => {
  const flows = fixture({ capacity: 65_536 });
  push(flows, 65_536);
  const call = new FakeCall();
  let ticks = 0;
  const timer = setInterval(() => ticks++, 1);
  await stream(flows, call, {});
  clearInterval(timer);
  assert.ok(ticks >= 3, `${ticks} ticks`);
});

Deno.test("streamFlows() ends when the call does, however idle", async () => {
  const call = new FakeCall();
  const done = stream(fixture(), call, { follow: true });
  await turn();
  call.cancel();
  await done;
});

Deno.test("streamFlows() makes room for a flow that is larger than its buffer", async () => {
  const flows = fixture({ capacity: 16 });
  flows.store.pushMessage(create(FlowSchema, { Summary: "x".repeat(200_000) }));
  push(flows, 1);
  const call = new FakeCall();
  await stream(flows, call, {});
  assert.deepEqual(call.counts, { flows: 2, lost: 0 });
  assert.ok(call.sizes[0] > 200_000);
});
