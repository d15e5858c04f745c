import assert from "node:assert/strict";
import fc from "fast-check";
import { decodeAddress, decodeDefaultRoute, decodeLink } from "./link.ts";
import { decodeMessages, encodeDumpRequest, errorOf } from "./netlink_message.ts";
import { decodeTcFilter } from "./tc_filters.ts";

/** An attribute with its padding. */
function attribute(type: number, payload: Uint8Array): Uint8Array {
  const bytes = new Uint8Array((4 + payload.length + 3) & ~3);
  const view = new DataView(bytes.buffer);
  view.setUint16(0, 4 + payload.length, true);
  view.setUint16(2, type, true);
  bytes.set(payload, 4);
  return bytes;
}

function message(type: number, ...parts: Uint8Array[]): Uint8Array {
  const body = join(parts);
  const bytes = new Uint8Array(16 + body.length);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, bytes.length, true);
  view.setUint16(4, type, true);
  bytes.set(body, 16);
  return bytes;
}

function join(parts: Uint8Array[]): Uint8Array {
  return Uint8Array.from(parts.flatMap((part) => [...part]));
}

function words(...values: number[]): Uint8Array {
  return new Uint8Array(new Uint32Array(values).buffer);
}

const text = (value: string) => new TextEncoder().encode(value + "\0");

/** struct ifinfomsg {u8 family; u8 pad; u16 type; i32 index; u32 flags; u32 change} */
function ifinfomsg(index: number, flags: number, family = 0, hardwareType = 1): Uint8Array {
  return words(family | (hardwareType << 16), index, flags, 0);
}

function decodeOne(bytes: Uint8Array) {
  const [first] = decodeMessages(bytes);
  return decodeLink(first);
}

Deno.test("decodeLink() reads a veth with its peer in another namespace", () => {
  const bytes = message(
    16,
    ifinfomsg(7, 0x1043),
    attribute(3, text("veth7")),
    attribute(5, words(2)),
    attribute(10, words(3)),
    attribute(1, Uint8Array.of(2, 0, 0, 0, 0, 9)),
    attribute(18 | 0x8000, join([attribute(1, text("veth")), attribute(4, text("bridge"))])),
    attribute(37, words(0)),
  );
  assert.deepEqual(decodeOne(bytes), {
    kind: "changed",
    link: {
      index: 7,
      name: "veth7",
      kind: "veth",
      up: true,
      loopback: false,
      hardwareType: 1,
      master: 3,
      masterKind: "bridge",
      peerIndex: 2,
      peerNamespace: 0,
      address: Uint8Array.of(2, 0, 0, 0, 0, 9),
    },
  });
});

Deno.test("decodeLink() reads removals, loopback and interfaces without an Ethernet header", () => {
  assert.equal(decodeOne(message(17, ifinfomsg(7, 0), attribute(3, text("veth7"))))?.kind, "removed");
  assert.equal(decodeOne(message(16, ifinfomsg(1, 0x49, 0, 772), attribute(3, text("lo"))))?.link.loopback, true);
  assert.equal(decodeOne(message(16, ifinfomsg(9, 1, 0, 65534), attribute(3, text("tun0"))))?.link.hardwareType, 65534);
});

Deno.test("decodeLink() is not misled by a port that leaves its bridge", () => {
  // The kernel announces it as RTM_DELLINK of family AF_BRIDGE; the interface is still there.
  assert.equal(decodeOne(message(17, ifinfomsg(7, 1, 7), attribute(3, text("veth7")))), undefined);
});

Deno.test("decodeLink() keeps odd names apart from broken messages", () => {
  const odd = Uint8Array.of(0xff, 0xfe, 0x20, 0x2f, 0x0a, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 0);
  assert.equal(decodeOne(message(16, ifinfomsg(7, 1), attribute(3, odd)))?.link.name.length, 15);
  assert.equal(decodeOne(message(16, ifinfomsg(7, 1))), undefined, "without a name");
  assert.equal(decodeOne(message(16, ifinfomsg(0, 1), attribute(3, text("x")))), undefined, "without an index");
  assert.equal(decodeOne(message(16, new Uint8Array(8))), undefined, "cut short");
  assert.equal(
    decodeOne(message(16, ifinfomsg(7, 1), attribute(3, text("x")), Uint8Array.of(200, 0, 1, 0)))?.link.name,
    "x",
  );
});

Deno.test("decodeMessages() stops at a message that is cut short", () => {
  const whole = message(16, ifinfomsg(7, 1), attribute(3, text("a")));
  assert.equal(decodeMessages(join([whole, whole])).length, 2);
  assert.equal(decodeMessages(join([whole, whole.subarray(0, whole.length - 1)])).length, 1);
  assert.equal(decodeMessages(new Uint8Array(16)).length, 0, "a length of zero would never end");
});

Deno.test("encodeDumpRequest() is a message that decodes to itself; errorOf() turns the sign", () => {
  const [request] = decodeMessages(encodeDumpRequest(18, 42, Uint8Array.of(1, 2, 3, 4)));
  assert.deepEqual([request.type, request.flags, request.sequence, request.body.byteLength], [18, 0x301, 42, 4]);
  const [error] = decodeMessages(message(2, words(-19 >>> 0)));
  assert.equal(errorOf(error), 19);
  assert.equal(errorOf(decodeMessages(message(3))[0]), 0);
});

Deno.test("decodeAddress() takes the own end of a point-to-point address", () => {
  const ifaddrmsg = words(2 | (24 << 8), 5);
  const local = attribute(2, Uint8Array.of(10, 0, 0, 1));
  const remote = attribute(1, Uint8Array.of(10, 0, 0, 2));
  assert.deepEqual(decodeAddress(decodeMessages(message(20, ifaddrmsg, remote, local))[0]), {
    index: 5,
    address: Uint8Array.of(10, 0, 0, 1),
    prefixLength: 24,
    scope: "global",
  });
  assert.deepEqual(
    decodeAddress(decodeMessages(message(20, ifaddrmsg, attribute(1, new Uint8Array(16))))[0])?.address.length,
    16,
  );
  assert.equal(decodeAddress(decodeMessages(message(20, ifaddrmsg, attribute(1, new Uint8Array(5))))[0]), undefined);
});

Deno.test("decodeDefaultRoute() reads one way out or several", () => {
  /** struct rtmsg with the destination's length and type RTN_UNICAST */
  const rtmsg = (length: number) => words(2 | (length << 8), 1 << 24, 0);
  const decode = (...parts: Uint8Array[]) => decodeDefaultRoute(decodeMessages(message(24, ...parts))[0]);
  assert.deepEqual(decode(rtmsg(0), attribute(4, words(3))), [3]);
  assert.deepEqual(decode(rtmsg(24), attribute(4, words(3))), []);
  assert.deepEqual(decode(rtmsg(0), attribute(9, join([words(8, 4), words(8, 5)]))), [4, 5]);
  assert.deepEqual(decode(rtmsg(0), attribute(9, words(0, 4))), []);
});

Deno.test("no decoder reads outside of random or mutated messages", () => {
  const valid = message(
    16,
    ifinfomsg(7, 1),
    attribute(3, text("veth7")),
    attribute(18, join([attribute(1, text("veth")), attribute(4, text("bridge"))])),
    attribute(37, words(0)),
  );
  const mutated = fc.array(fc.tuple(fc.nat(valid.length - 1), fc.nat(255)), { maxLength: 8 }).map((changes) => {
    const bytes = valid.slice();
    for (const [at, value] of changes) bytes[at] = value;
    return bytes;
  });
  fc.assert(
    fc.property(
      fc.oneof(mutated, fc.uint8Array({ maxLength: 200 })),
      fc.constantFrom(16, 17, 20, 24, 44),
      (bytes, type) => {
        for (const one of [...decodeMessages(bytes), ...decodeMessages(message(type, bytes))]) {
          decodeLink(one);
          decodeAddress(one);
          decodeDefaultRoute(one);
          decodeTcFilter(one);
        }
      },
    ),
    { numRuns: 2000 },
  );
});
