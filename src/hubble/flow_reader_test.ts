import assert from "node:assert/strict";
import { create, fromBinary } from "@bufbuild/protobuf";
import fc from "fast-check";
import { LostEventSchema, LostEventSource } from "../../proto/gen/flow/flow_pb.ts";
import { type GetFlowsResponse, GetFlowsResponseSchema } from "../../proto/gen/observer/observer_pb.ts";
import { FlowEncoder } from "../flow/encoder.ts";
import { event, type Fixture, fixture } from "../flow/test_support.ts";
import { EVENT } from "../flow/record.ts";
import type { FlowView } from "../flow/view.ts";
import { MessageReader } from "../../tests/interop/raw_call.ts";
import type { FlowQuery } from "./flow_query.ts";
import { FlowReader, type Progress } from "./flow_reader.ts";

const ALL = { matchesAll: true, matches: () => true };
const EVERYTHING: FlowQuery = { matcher: ALL, limit: Infinity, first: false, follow: false };

/** Only flows whose source port is divisible by `n`. */
const everyNth = (n: number) => ({
  matchesAll: false,
  matches: ({ u16, at }: FlowView) => u16[(at + EVENT.src_port) >> 1] % n === 0,
});

class Harness {
  readonly flows: Fixture;
  readonly clock = { now: 1000, wall: () => 1_700_000_000_000 + this.clock.now, monotonic: () => this.clock.now };
  overtaken = 0;
  #port = 0;

  constructor(capacity = 16) {
    this.flows = fixture({ capacity });
  }

  /** Stores flows whose source ports count up, a second apart unless times are given. */
  push(count: number, seconds?: readonly number[]): this {
    for (let i = 0; i < count; i++) {
      const time = seconds?.[i] ?? this.#port;
      this.flows.push(event({ ip_version: 4, protocol: 17, src_port: this.#port++ }), { wall: [time, 0] });
    }
    return this;
  }

  pushLost(): this {
    const lost = create(LostEventSchema, { source: LostEventSource.PERF_EVENT_RING_BUFFER, numEventsLost: 3n, cpu: 1 });
    this.flows.store.pushLost(lost, 5, 0);
    return this;
  }

  reader(query: Partial<FlowQuery>): FlowReader {
    const { store, context } = this.flows;
    return new FlowReader({
      store,
      view: fixtureView(this.flows),
      encoder: new FlowEncoder(context),
      nodeName: "node-1",
      clock: this.clock,
      onOvertaken: (events) => this.overtaken += events,
    }, { ...EVERYTHING, ...query });
  }

  /** Reads until there is nothing more: source ports, and `lost N` for lost events. */
  read(reader: FlowReader, bufferSize = 4096): { seen: (number | string)[]; progress: Progress } {
    const seen: (number | string)[] = [];
    for (let turns = 0; turns < 1000; turns++) {
      const buffer = new Uint8Array(bufferSize);
      const { length, progress } = reader.read(buffer);
      seen.push(...new MessageReader().push(buffer.subarray(0, length)).map(describe));
      if (progress === "grow") bufferSize *= 2;
      else if (progress !== "more") return { seen, progress };
    }
    throw new Error("Reader never ends");
  }

  answer(query: Partial<FlowQuery>): (number | string)[] {
    const { seen, progress } = this.read(this.reader(query));
    assert.equal(progress, "done");
    return seen;
  }
}

function fixtureView({ view }: Fixture): FlowView {
  return view;
}

function describe(message: Uint8Array): number | string {
  const { responseTypes }: GetFlowsResponse = fromBinary(GetFlowsResponseSchema, message);
  if (responseTypes.case === "lostEvents") return `lost ${responseTypes.value.numEventsLost}`;
  assert.equal(responseTypes.case, "flow");
  const protocol = (responseTypes as { value: { l4?: { protocol: { value?: unknown } } } }).value.l4?.protocol.value;
  return (protocol as { sourcePort: number }).sourcePort;
}

const range = (from: number, to: number) => Array.from({ length: to - from }, (_, i) => from + i);

Deno.test("FlowReader answers number, first and all, oldest first", () => {
  const h = new Harness().push(30);
  assert.deepEqual(h.answer({}), range(14, 30));
  assert.deepEqual(h.answer({ limit: 10 }), range(20, 30));
  assert.deepEqual(h.answer({ limit: 10, first: true }), range(14, 24));
  assert.deepEqual(h.answer({ limit: 1000 }), range(14, 30));
  assert.deepEqual(h.answer({ limit: 2 ** 64 }), range(14, 30));
  assert.deepEqual(h.answer({ first: true }), range(14, 30));
});

Deno.test("FlowReader ends at once when the store is empty", () => {
  const h = new Harness();
  for (const query of [{}, { limit: 5 }, { limit: 5, first: true }, { since: { seconds: 1, nanos: 0 } }]) {
    assert.deepEqual(h.answer(query), []);
  }
});

Deno.test("FlowReader counts matches, not flows", () => {
  const h = new Harness(32).push(30);
  assert.deepEqual(h.answer({ matcher: everyNth(5), limit: 3 }), [15, 20, 25]);
  assert.deepEqual(h.answer({ matcher: everyNth(5), limit: 3, first: true }), [0, 5, 10]);
  assert.deepEqual(h.answer({ matcher: everyNth(100), limit: 3 }), [0]);
});

Deno.test("FlowReader keeps to since and until", () => {
  const h = new Harness(32).push(30);
  const at = (seconds: number) => ({ seconds, nanos: 0 });
  assert.deepEqual(h.answer({ since: at(25) }), range(25, 30));
  assert.deepEqual(h.answer({ until: at(4) }), range(0, 5));
  assert.deepEqual(h.answer({ since: at(10), until: at(12) }), [10, 11, 12]);
  assert.deepEqual(h.answer({ since: at(10), limit: 3 }), [10, 11, 12]);
  assert.deepEqual(h.answer({ since: { seconds: 10, nanos: 1 }, limit: 1, first: true }), [11]);
  assert.deepEqual(h.answer({ since: at(99) }), []);
});

Deno.test("FlowReader finds what is not older than since behind what is", () => {
  const h = new Harness().push(5, [1, 5, 2, 6, 4]);
  assert.deepEqual(h.answer({ since: { seconds: 4, nanos: 0 } }), [1, 3, 4]);
});

Deno.test("FlowReader ends at the first flow after until", () => {
  const h = new Harness().push(5, [1, 2, 9, 3, 4]);
  assert.deepEqual(h.answer({ until: { seconds: 5, nanos: 0 } }), [0, 1]);
});

Deno.test("FlowReader sends lost events past filters, range and count", () => {
  const h = new Harness().push(3).pushLost().push(3);
  assert.deepEqual(h.answer({ limit: 4 }), [2, "lost 3", 3, 4, 5]);
  assert.deepEqual(h.answer({ limit: 3 }), [3, 4, 5]);
  assert.deepEqual(h.answer({ matcher: everyNth(5) }), [0, "lost 3", 5]);
  assert.deepEqual(h.answer({ since: { seconds: 99, nanos: 0 } }), ["lost 3"]);
});

Deno.test("FlowReader follows from the end, or with history", () => {
  const h = new Harness().push(10);
  const live = h.reader({ follow: true });
  const withHistory = h.reader({ follow: true, limit: 3 });
  const since = h.reader({ follow: true, since: { seconds: 8, nanos: 0 } });
  assert.deepEqual(h.read(live), { seen: [], progress: "idle" });
  assert.deepEqual(h.read(withHistory), { seen: [7, 8, 9], progress: "idle" });
  assert.deepEqual(h.read(since), { seen: [8, 9], progress: "idle" });
  h.push(5);
  for (const reader of [live, withHistory, since]) {
    assert.deepEqual(h.read(reader), { seen: range(10, 15), progress: "idle" });
  }
});

Deno.test("FlowReader ends a follower at until, and where it is stopped", () => {
  const h = new Harness().push(2);
  const until = h.reader({ follow: true, until: { seconds: 3, nanos: 0 } });
  const stopped = h.reader({ follow: true });
  assert.equal(h.read(until).progress, "idle");
  h.push(1);
  stopped.stop();
  h.push(3);
  assert.deepEqual(h.read(until), { seen: [2, 3], progress: "done" });
  assert.deepEqual(h.read(stopped), { seen: [2], progress: "done" });
  assert.ok(stopped.stopped);
  assert.ok(!until.stopped);
});

Deno.test("FlowReader does not follow what is pushed while it answers", () => {
  const h = new Harness().push(4);
  const reader = h.reader({});
  h.push(4);
  assert.deepEqual(h.read(reader), { seen: range(0, 4), progress: "done" });
});

Deno.test("FlowReader says how many flows it missed when it was overtaken", () => {
  const h = new Harness(16).push(4);
  const reader = h.reader({ follow: true });
  h.push(20);
  assert.deepEqual(h.read(reader), { seen: ["lost 4", ...range(8, 24)], progress: "idle" });
  assert.equal(h.overtaken, 4);
});

Deno.test("FlowReader reports losses at most once a second, and none twice", () => {
  const h = new Harness(16);
  const reader = h.reader({ follow: true });
  h.push(17);
  assert.equal(h.read(reader).seen[0], "lost 1");
  h.push(18);
  assert.deepEqual(h.read(reader).seen, range(19, 35));
  assert.equal(reader.lostDue, 1000);
  h.clock.now += 400;
  h.push(19);
  assert.equal(h.read(reader).seen[0], 38);
  assert.equal(reader.lostDue, 600);
  h.clock.now += 600;
  assert.equal(reader.lostDue, 0);
  assert.deepEqual(h.read(reader), { seen: ["lost 5"], progress: "idle" });
  assert.equal(reader.lostDue, undefined);
});

Deno.test("FlowReader reports what is left to report before it ends", () => {
  const h = new Harness(16);
  const reader = h.reader({ follow: true });
  h.push(17);
  h.read(reader);
  h.push(18);
  h.read(reader);
  reader.stop();
  assert.deepEqual(h.read(reader), { seen: ["lost 2"], progress: "done" });
});

Deno.test("FlowReader counts as lost only what the request asked for", () => {
  const h = new Harness(16).push(10);
  const reader = h.reader({});
  h.push(12);
  assert.deepEqual(h.read(reader), { seen: ["lost 6", 6, 7, 8, 9], progress: "done" });
});

Deno.test("FlowReader asks for a larger buffer when a frame does not fit", () => {
  const h = new Harness().push(3);
  assert.deepEqual(h.read(h.reader({}), 16).seen, [0, 1, 2]);
});

Deno.test("FlowReader gives the same answer however small the buffer", () => {
  const h = new Harness(64).push(30).pushLost().push(30);
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 3000 }), fc.integer({ min: 1, max: 70 }), (size, limit) => {
      const whole = h.read(h.reader({ limit }), 1 << 16).seen;
      assert.deepEqual(h.read(h.reader({ limit }), size).seen, whole);
    }),
    { numRuns: 30 },
  );
});

Deno.test("FlowReader looks at a bounded number of slots in one read", () => {
  const h = new Harness(32_768).push(20_000);
  const none = { matchesAll: false, matches: () => false };
  const reader = h.reader({ matcher: none });
  let reads = 0;
  while (reader.read(new Uint8Array(1024)).progress === "more") reads++;
  assert.equal(reads, 2);
  const rewinding = h.reader({ matcher: none, limit: 1 });
  reads = 0;
  while (rewinding.read(new Uint8Array(1024)).progress === "more") reads++;
  assert.ok(reads >= 4, `${reads} reads`);
});

Deno.test("FlowReader gives the event loop its turn when a filter takes long", () => {
  const h = new Harness(256).push(200);
  let asked = 0;
  const slow = {
    matchesAll: false,
    matches: () => {
      asked++;
      h.clock.now += 1;
      return true;
    },
  };
  const reader = h.reader({ matcher: slow, limit: 100 });
  const progress: Progress[] = [];
  const turns: number[] = [];
  for (let before = 0; progress.at(-1) !== "done"; before = asked) {
    progress.push(reader.read(new Uint8Array(1 << 20)).progress);
    turns.push(asked - before);
  }
  // 100 flows to find the start, 100 to send, and no turn of more than 16 beyond the deadline.
  assert.equal(asked, 200);
  assert.ok(Math.max(...turns) <= 6 + 2 * 16, `${turns}`);
});
