import assert from "node:assert/strict";
import { IpCache } from "../identity/ip_cache.ts";
import { makeIdentity } from "../identity/make.ts";
import { EVENT } from "./record.ts";
import { RecordSink } from "./sink.ts";
import { event, fixture, v4 } from "./test_support.ts";

function setUp() {
  const { store, view, identities, interfaces } = fixture({ capacity: 4 });
  const ipCache = new IpCache(identities);
  const counted: number[] = [];
  const counters = {
    record: (_u8: Uint8Array, u16: Uint16Array, _u32: Uint32Array, at: number) =>
      counted.push(u16[(at + EVENT.src_port) / 2]),
  };
  const sink = new RecordSink({ store, ipCache, counters, interfaces });
  return { sink, store, view, ipCache, interfaces, counted };
}

Deno.test("push() names both ends, the interface and the time, and counts", () => {
  const { sink, view, ipCache, interfaces, counted } = setUp();
  const web = makeIdentity({ namespace: "shop", pod: "web" });
  ipCache.set("10.0.0.1", web);
  interfaces.set(9, "eth9");
  sink.setWallOffset(1000, 999_999_999);
  const ring = new Uint32Array(64);
  ring.set(event({ ts_ns: 2n, src_port: 77, ifindex: 9, dst_addr: v4(1, 1, 1, 1) }), 6);
  sink.push(ring, 24, 128);
  view.moveTo(0);
  assert.equal(view.sourceIdentity(), web);
  assert.deepEqual(view.destinationIdentity().labels, ["reserved:world"]);
  assert.equal(view.interfaceName(), "eth9");
  assert.deepEqual([view.seconds(), view.nanos()], [1001, 1]);
  assert.deepEqual(counted, [77]);
});

Deno.test("a flow keeps its names when the address goes to another pod", () => {
  const { sink, view, ipCache } = setUp();
  for (const pod of ["first", "second"]) {
    ipCache.set("10.0.0.1", makeIdentity({ namespace: "shop", pod }));
    sink.push(event({}), 0, 128);
  }
  ipCache.delete("10.0.0.1");
  assert.equal(view.moveTo(0).sourceIdentity().pod, "first");
  assert.equal(view.moveTo(1).sourceIdentity().pod, "second");
});

Deno.test("flush() wakes followers", () => {
  const { sink, store } = setUp();
  let woken = 0;
  store.onPush(() => woken++);
  sink.push(event({}), 0, 128);
  sink.push(event({}), 0, 128);
  assert.equal(woken, 0);
  sink.flush();
  assert.equal(woken, 1);
});

Deno.test("an event that is too short is counted and left out", () => {
  const { sink, store, counted } = setUp();
  sink.push(event({}), 0, 127);
  assert.deepEqual([sink.malformed, store.head, counted.length], [1, 0, 0]);
});

Deno.test("a clock that was set to before the boot counts as no offset", () => {
  const { sink, view } = setUp();
  sink.setWallOffset(-5, 7);
  sink.push(event({ ts_ns: 3_000_000_004n }), 0, 128);
  view.moveTo(0);
  assert.deepEqual([view.seconds(), view.nanos()], [3, 4]);
});
