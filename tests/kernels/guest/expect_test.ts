import assert from "node:assert/strict";
import { EventFlag, IpProtocol, TcpFlag } from "../../../src/flow/record.ts";
import { type Conversation, differences } from "./expect.ts";
import type { Packet } from "./packet.ts";

const A = { address: "10.244.0.10", port: 41000 };
const B = { address: "10.244.0.11", port: 7 };
const UDP: Conversation = {
  name: "UDP",
  ifindex: 3,
  protocol: IpProtocol.UDP,
  initiator: A,
  responder: B,
  direction: 2,
  points: { forward: 0, reverse: 1 },
  packets: { forward: 3, reverse: 1 },
  frameBytes: 142,
};

type Change = Omit<Partial<Packet>, "held"> & { held?: Partial<Packet["held"]> };
const HELD = { packets: 0, bytes: 0, ack: 0, psh: 0, syn: 0, fin: 0, rst: 0 };

function packet(forward: boolean, change: Change): Packet {
  const [from, to] = forward ? [A, B] : [B, A];
  return {
    recordLength: 144,
    nanos: 0n,
    source: from.address,
    destination: to.address,
    sourcePort: from.port,
    destinationPort: to.port,
    bytes: 142,
    ifindex: 3,
    tcpFlags: 0,
    protocol: IpProtocol.UDP,
    ipVersion: 4,
    point: forward ? 0 : 1,
    direction: 2,
    isReply: forward ? 0 : 1,
    icmpType: 0,
    eventFlags: EventFlag.ETHERNET,
    totalPackets: { tx: 0, rx: 0 },
    totalBytes: { tx: 0, rx: 0 },
    ...change,
    held: { ...HELD, ...change.held },
  };
}

const GOOD: readonly Packet[] = [
  packet(true, { totalPackets: { tx: 1, rx: 0 }, totalBytes: { tx: 142, rx: 0 } }),
  packet(false, { totalPackets: { tx: 1, rx: 1 }, totalBytes: { tx: 142, rx: 142 } }),
  packet(true, { held: { packets: 1, bytes: 142 }, totalPackets: { tx: 3, rx: 1 }, totalBytes: { tx: 426, rx: 142 } }),
];

Deno.test("differences() finds none in events that agree, whatever else was seen", () => {
  const others = [
    packet(true, { ifindex: 4, point: 3 }),
    packet(true, { protocol: IpProtocol.TCP }),
    packet(true, { sourcePort: 1 }),
  ];
  assert.deepEqual(differences([...others, ...GOOD], UDP), []);
});

Deno.test("differences() names what differs", () => {
  const cases: [string, Change, RegExp][] = [
    ["point", { point: 2 }, /observation point is 2, expected 0/],
    ["direction", { direction: 1 }, /direction is 1, expected 2/],
    ["reply", { isReply: 2 }, /is-reply is 2, expected 0/],
    ["version", { ipVersion: 6 }, /IP version is 6, expected 4/],
    ["tail", { eventFlags: 0 }, /Ethernet flag is 0/],
    ["length", { recordLength: 128 }, /record holds the tail is false/],
    ["flags", { tcpFlags: 2 }, /TCP flags is 2/],
    ["ICMP", { icmpType: 8 }, /ICMP type is 8/],
    ["frame", { bytes: 141 }, /frame bytes is 141, expected 142/],
    ["held", { held: { packets: 1, bytes: 142 } }, /forward packets is 4, expected 3/],
    ["held bytes", { held: { bytes: 1 } }, /forward bytes is 427, expected 426/],
  ];
  for (const [name, change, message] of cases) {
    const { held, ...rest } = change;
    const changed = [{ ...GOOD[0], ...rest, held: { ...HELD, ...held } }, ...GOOD.slice(1)];
    assert.match(differences(changed, UDP).join("\n"), message, name);
  }
});

Deno.test("differences() compares the totals of the last event", () => {
  const wrong = [...GOOD.slice(0, 2), { ...GOOD[2], totalPackets: { tx: 2, rx: 1 } }];
  assert.match(differences(wrong, UDP).join("\n"), /forward packets by its totals is 2, expected 3/);
});

Deno.test("differences() says when a direction is missing", () => {
  assert.deepEqual(differences([GOOD[0]], UDP), ["UDP: 1 events forward and 0 back, expected some of both"]);
  assert.equal(differences([], UDP).length, 1);
});

Deno.test("differences() passes over neighbour discovery between the hosts of an echo", () => {
  const ends = { initiator: { address: "fd00::1", port: 0 }, responder: { address: "fd00::2", port: 0 } };
  const echo: Conversation = {
    ...UDP,
    ...ends,
    protocol: IpProtocol.ICMPV6,
    packets: { forward: 1, reverse: 1 },
    frameBytes: 118,
  };
  const icmp = (source: string, destination: string, icmpType: number, back: boolean) =>
    packet(!back, {
      ...{ source, destination, icmpType, sourcePort: 0, destinationPort: 0, ipVersion: 6, bytes: 118 },
      ...{
        protocol: IpProtocol.ICMPV6,
        totalPackets: { tx: 1, rx: back ? 1 : 0 },
        totalBytes: { tx: 118, rx: back ? 118 : 0 },
      },
    });
  const events = [
    icmp("fd00::1", "fd00::2", 128, false),
    icmp("fd00::2", "fd00::1", 136, true),
    icmp("fd00::2", "fd00::1", 129, true),
  ];
  assert.deepEqual(differences(events, echo), []);
  assert.match(differences([events[0], events[1]], echo).join("\n"), /0 back/);
});

const STAMPED = EventFlag.ETHERNET | EventFlag.TCP_TIMESTAMP;
const TCP: Conversation = {
  ...{ name: "TCP", ifindex: 3, protocol: IpProtocol.TCP, initiator: A, responder: B, direction: 2 },
  ...{ points: { forward: 0, reverse: 1 }, tcp: { messages: 2, reset: false, exact: true } },
};

/** Events of a connection in order; the totals are filled in. */
function segments(list: readonly [forward: boolean, tcpFlags: number, change?: Change][]): Packet[] {
  const packets = { tx: 0, rx: 0 };
  const bytes = { tx: 0, rx: 0 };
  return list.map(([forward, tcpFlags, change]) => {
    const way = forward ? "tx" : "rx";
    packets[way] += 1 + (change?.held?.packets ?? 0);
    bytes[way] += 142 + (change?.held?.bytes ?? 0);
    return packet(forward, {
      ...{ protocol: IpProtocol.TCP, tcpFlags, eventFlags: STAMPED, ...change },
      ...{ totalPackets: { ...packets }, totalBytes: { ...bytes } },
    });
  });
}

const { SYN, ACK, PSH, FIN, RST } = TcpFlag;
const CONNECTION: readonly [boolean, number, Change?][] = [
  [true, SYN],
  [false, SYN | ACK],
  [true, ACK],
  [true, PSH | ACK],
  [false, PSH | ACK],
  [true, FIN | ACK, { held: { packets: 2, bytes: 284, ack: 2, psh: 1 } }],
  [false, FIN | ACK, { held: { packets: 1, bytes: 142, ack: 1, psh: 1 } }],
  [true, ACK, { eventFlags: STAMPED | EventFlag.CLOSED }],
];

Deno.test("differences() follows a TCP connection from SYN to FIN", () => {
  assert.deepEqual(differences(segments(CONNECTION), TCP), []);
});

Deno.test("differences() follows a TCP connection that is reset", () => {
  const reset = [...CONNECTION.slice(0, 5), [true, RST | ACK, {
    eventFlags: EventFlag.ETHERNET | EventFlag.CLOSED,
    held: { packets: 2, bytes: 284, ack: 2, psh: 1 },
  }]] as [boolean, number, Change?][];
  assert.deepEqual(differences(segments(reset), { ...TCP, tcp: { messages: 2, reset: true, exact: true } }), []);
  assert.match(differences(segments(reset), TCP).join("\n"), /forward RST is 1, expected 0/);
});

Deno.test("differences() allows the RST of a host that has forgotten the connection", () => {
  const bare = [...CONNECTION.slice(0, 5), [true, RST | ACK, {
    eventFlags: EventFlag.ETHERNET | EventFlag.CLOSED,
    held: { packets: 2, bytes: 284, ack: 2, psh: 1 },
  }], [false, RST, { eventFlags: EventFlag.ETHERNET }]] as [boolean, number, Change?][];
  assert.deepEqual(differences(segments(bare), { ...TCP, tcp: { messages: 2, reset: true, exact: true } }), []);
});

Deno.test("differences() finds a wrong TCP segment", () => {
  const cases: [number, [boolean, number, Change?] | undefined, RegExp][] = [
    [0, [true, SYN | ACK], /flags of the first segment is 18, expected 2/],
    [1, [false, ACK], /flags of the first answer is 16, expected 18/],
    [3, undefined, /forward PSH is 1, expected 2/],
    [5, [true, ACK], /forward FIN is 0, expected 1/],
    [7, [true, ACK], /close the connection is 0, expected 1/],
    [2, [true, 0], /forward ACK is 5, expected 6/],
    [2, [true, ACK, { eventFlags: EventFlag.ETHERNET }], /with a timestamp is 7, expected 8/],
  ];
  for (const [index, replacement, message] of cases) {
    const list = [...CONNECTION];
    list.splice(index, 1, ...(replacement === undefined ? [] : [replacement]));
    assert.match(differences(segments(list), TCP).join("\n"), message);
  }
});

Deno.test("differences() allows segments that were sent again where the guest says so", () => {
  const again = [...CONNECTION.slice(0, 4), CONNECTION[3], ...CONNECTION.slice(4)];
  assert.match(differences(segments(again), TCP).join("\n"), /forward PSH is 3, expected 2/);
  assert.deepEqual(differences(segments(again), { ...TCP, tcp: { messages: 2, reset: false, exact: false } }), []);
});
