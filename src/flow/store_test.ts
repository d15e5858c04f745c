import { create } from "@bufbuild/protobuf";
import assert from "node:assert/strict";
import { FlowSchema, LostEventSchema } from "../../proto/gen/flow/flow_pb.ts";
import { makeIdentity } from "../identity/make.ts";
import { IdentityTable } from "../identity/table.ts";
import { EVENT, EventFlag, SLOT, SLOT_SIZE, SlotKind } from "./record.ts";
import { FlowStore } from "./store.ts";
import { event, fixture, WALL } from "./test_support.ts";

Deno.test("FlowStore refuses a capacity that is no power of two", () => {
  for (const capacity of [0, -2, 3, 1.5, 100, 2 ** 25, NaN]) {
    assert.throws(() => new FlowStore({ capacity, identities: new IdentityTable() }), {
      name: "RangeError",
      message: new RegExp(`^Cannot store ${capacity} flows: expected a power of two`),
    });
  }
});

Deno.test("pushRecord() copies the event and adds what user space knows", () => {
  const { store, push } = fixture();
  const words = event({ ts_ns: 0x0102030405060708n, held_ns: 9, ethernet: [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12] });
  const { at } = push(words);
  assert.deepEqual(store.u8.subarray(at, at + 128), new Uint8Array(words.buffer, 0, 128));
  assert.deepEqual([...store.u8.subarray(at + 144, at + 156)], [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]);
  assert.equal(store.u32[(at + SLOT.wall_offset_seconds) / 4], WALL[0]);
  assert.equal(store.u32[(at + SLOT.wall_offset_nanos) / 4], WALL[1]);
  assert.equal(store.u8[at + SLOT.kind], SlotKind.RECORD);
});

Deno.test("pushRecord() reads at an offset of the ring", () => {
  const { store } = fixture();
  const ring = new Uint32Array(100);
  ring.set(event({ dst_port: 53 }), 10);
  store.pushRecord(ring, 40, 128, 0, 0, IdentityTable.WORLD, IdentityTable.HOST, 7);
  assert.equal(store.u16[EVENT.dst_port / 2], 53);
  assert.equal(store.u16[SLOT.interface_index / 2], 7);
});

Deno.test("pushRecord() does not believe in Ethernet addresses that did not come", () => {
  const { store, view } = fixture();
  const words = event({ event_flags: EventFlag.ETHERNET | EventFlag.CLOSED });
  store.pushRecord(words, 0, 128, 0, 0, 1, 1, 0);
  assert.equal(store.u8[view.moveTo(0).at + EVENT.event_flags], EventFlag.CLOSED);
});

Deno.test("positions go on while slots are overwritten", () => {
  const { store, push } = fixture({ capacity: 4 });
  for (let i = 0; i < 11; i++) {
    assert.equal(store.head, i);
    assert.equal(push(event({ src_port: i })).position, i);
    assert.equal(store.oldest, Math.max(0, i - 3));
  }
  for (let position = store.oldest; position < store.head; position++) {
    assert.equal(store.u16[((position & store.mask) * SLOT_SIZE + EVENT.src_port) / 2], position);
  }
});

Deno.test("a slot keeps its identities alive until it is overwritten", () => {
  const { store, identities, push, view } = fixture({ capacity: 2 });
  const web = makeIdentity({ namespace: "shop", pod: "web" }), db = makeIdentity({ namespace: "shop", pod: "db" });
  push(event({}), { source: web, destination: db });
  assert.equal(identities.size, 5);
  assert.equal(view.moveTo(0).sourceIdentity(), web);
  assert.equal(view.moveTo(0).destinationIdentity(), db);
  push(event({}));
  assert.equal(identities.size, 5);
  push(event({}));
  assert.equal(identities.size, 3);
  assert.equal(store.oldest, 1);
});

Deno.test("an identity that moves from the overwritten slot to the new one survives", () => {
  const { store, identities, view } = fixture({ capacity: 1 });
  const web = makeIdentity({ namespace: "shop", pod: "web" });
  const index = identities.add(web);
  store.pushRecord(event({}), 0, 128, 0, 0, index, index, 0);
  identities.release(index);
  store.pushRecord(event({}), 0, 128, 0, 0, index, IdentityTable.WORLD, 0);
  assert.equal(view.moveTo(1).sourceIdentity(), web);
});

Deno.test("messages and lost events stand in the same sequence", () => {
  const { store, view, push, identities } = fixture({ capacity: 2 });
  const flow = create(FlowSchema, { time: { seconds: 5n, nanos: 6 }, uuid: "x" });
  const lost = create(LostEventSchema, { numEventsLost: 3n });
  push(event({}), { source: makeIdentity({ pod: "gone" }) });
  assert.equal(store.pushMessage(flow), 1);
  assert.equal(store.pushLost(lost, 70, 80), 2);
  assert.equal(identities.size, 3, "the record's identity was released");
  assert.equal(view.moveTo(1).kind, SlotKind.MESSAGE);
  assert.equal(view.message(), flow);
  assert.deepEqual([view.seconds(), view.nanos()], [5, 6]);
  assert.equal(view.moveTo(2).kind, SlotKind.LOST);
  assert.equal(view.lost(), lost);
  assert.deepEqual([view.seconds(), view.nanos()], [70, 80]);
  push(event({}));
  assert.equal(store.message(3), undefined, "a record does not show the message that was there");
});

Deno.test("flushBatch() wakes listeners once a batch, and only after a push", () => {
  const { store, push } = fixture();
  let calls = 0;
  const unsubscribe = store.onPush(() => calls++);
  store.flushBatch();
  assert.equal(calls, 0);
  push(event({}));
  push(event({}));
  store.flushBatch();
  store.flushBatch();
  assert.equal(calls, 1);
  unsubscribe();
  push(event({}));
  store.flushBatch();
  assert.equal(calls, 1);
});
