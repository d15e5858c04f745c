import assert from "node:assert/strict";
import { EventFlag, IpProtocol, ReplyState, TcpFlag, TrafficDirection } from "../../src/flow/record.ts";
import { onlineCpuCount } from "../../ffi/system.ts";
import { ebpf, kernel, type Need, root, testWith } from "../lab/need.ts";
import { ethernet, filler, fragment, ipv4, ipv6, sctp, tcp, udp } from "../packets.ts";
import { conversation, FRAME, LIFETIME, sleep, told, WAIT } from "./conversation.ts";
import type { Event } from "./event.ts";
import { heldPackets, openLibraries, openParser, type Parser, type ParserOptions, VARIANTS } from "./parser.ts";
import { pinned } from "./pin.ts";
import type { RunRequest } from "./run_worker.ts";

const { SYN, ACK, PSH } = TcpFlag;
/** Packets of a turn beside the other thread. */
const OWN_REPEAT = 2000;
/** So rare that no test meets a sampled packet. */
const NEVER = 0xffff_ffff;

const twoCpus: Need = () => onlineCpuCount() > 1 ? undefined : "kernel: one CPU only";

openLibraries();

/** Runs a packet in another thread. Resolves when that runs; `done` becomes true at its end. */
async function runElsewhere(parser: Parser, packet: Uint8Array, rounds: number, repeat: number) {
  const worker = new Worker(new URL("./run_worker.ts", import.meta.url), { type: "module" });
  const request: RunRequest = { fd: parser.program("endpoint_ingress").fd, packet, rounds, repeat };
  const state = { done: false, [Symbol.dispose]: () => worker.terminate() };
  await new Promise<void>((resolve, reject) => {
    worker.onmessage = ({ data }) => {
      if (data === "running") resolve();
      else state.done = true;
    };
    worker.onerror = (event) => reject(new Error(event.message));
    worker.postMessage(request);
  });
  return state;
}

for (const variant of VARIANTS) {
  const test = (name: string, body: () => Promise<void> | void, options: { needs?: Need[]; timeoutMs?: number } = {}) =>
    testWith([root, ebpf, ...options.needs ?? []], `${variant}: conntrack: ${name}`, body, options);

  test("a thousand packets each way are told by the first, the interval and the counters between", async () => {
    using parser = openParser(variant, { knobs: { report_interval_ns: LIFETIME } });
    const { udpFromPod, udpToPod } = conversation(parser);
    const out = udpFromPod(filler(10), 999);
    const back = udpToPod(filler(20), 999);
    assert.deepEqual([out.length, back.length], [1, 1]);
    assert.deepEqual(out.map((event) => event.is_reply), [ReplyState.NO]);
    assert.deepEqual(back.map((event) => event.is_reply), [ReplyState.YES]);
    await sleep(WAIT);
    out.push(...udpFromPod(filler(10)));
    back.push(...udpToPod(filler(20)));
    assert.deepEqual([out.length, back.length], [2, 2]);
    assert.deepEqual([told(out).packets, told(back).packets], [1000, 1000]);
    assert.equal(told(out).bytes, 1000 * (FRAME.udp + 10));
    assert.equal(told(back).bytes, 1000 * (FRAME.udp + 20));
    const last = back[1];
    assert.deepEqual([last.total_packets_tx, last.total_packets_rx], [1000, 1000]);
    assert.equal(last.total_bytes_tx, BigInt(1000 * (FRAME.udp + 10)));
    assert.equal(last.total_bytes_rx, BigInt(1000 * (FRAME.udp + 20)));
    assert.equal(heldPackets(parser.entries()), 0);
  });

  test("ICMP echoes with one identifier are a connection, others are apart", () => {
    using parser = openParser(variant);
    const { icmpFromPod, icmpToPod } = conversation(parser);
    const [request] = icmpFromPod({ type: 8, id: 1, sequence: 1 });
    const [reply] = icmpToPod({ type: 0, id: 1, sequence: 1 });
    assert.deepEqual([request.is_reply, reply.is_reply], [ReplyState.NO, ReplyState.YES]);
    assert.deepEqual([reply.total_packets_tx, reply.total_packets_rx], [1, 1]);
    assert.deepEqual(icmpFromPod({ type: 8, id: 1, sequence: 2 }), []);
    assert.equal(icmpFromPod({ type: 8, id: 2, sequence: 1 }).length, 1);
    assert.equal(icmpFromPod({ type: 3, code: 1 }).length, 1);
    assert.equal(icmpFromPod({ type: 3, code: 3 }).length, 1);
    assert.deepEqual(icmpFromPod({ type: 3, code: 3 }), []);
    assert.equal(parser.entries().length, 4);
    assert.deepEqual([request.src_port, request.dst_port], [0, 0]);
  });

  test("an echo reply seen first has its initiator at the other end", () => {
    using parser = openParser(variant);
    const { icmpFromPod, icmpToPod } = conversation(parser);
    const events = [...icmpFromPod({ type: 0, id: 9 }), ...icmpToPod({ type: 8, id: 9 })];
    assert.deepEqual(events.map((event) => event.is_reply), [ReplyState.YES, ReplyState.NO]);
    assert.deepEqual(events.map((event) => event.traffic_direction), [
      TrafficDirection.INGRESS,
      TrafficDirection.INGRESS,
    ]);
  });

  test("SCTP, later fragments and unknown protocols are tracked both ways", () => {
    using parser = openParser(variant);
    const pairs: [number, Uint8Array<ArrayBuffer>, Uint8Array<ArrayBuffer>][] = [
      [IpProtocol.SCTP, sctp({ sourcePort: 1, destinationPort: 2 }), sctp({ sourcePort: 2, destinationPort: 1 })],
      [47, filler(8), filler(8)],
    ];
    for (const [protocol, there, back] of pairs) {
      const out = ethernet({}, ipv4({ protocol }, there));
      const answer = ethernet({}, ipv4({ protocol, source: "10.0.0.2", destination: "10.0.0.1" }, back));
      assert.deepEqual(parser.run("host_egress", out).map((event) => event.is_reply), [ReplyState.NO]);
      assert.deepEqual(parser.run("host_egress", out), []);
      assert.deepEqual(parser.run("host_ingress", answer).map((event) => event.is_reply), [ReplyState.YES]);
    }
    const piece = (offset: number) =>
      ethernet({}, ipv6({ nextHeader: 44 }, fragment(17, offset, true, udp({}, filler(8)))));
    assert.deepEqual(parser.run("host_egress", piece(0)).map((event) => event.src_port), [40000]);
    const later = parser.run("host_egress", piece(2));
    assert.deepEqual(later.map((event) => event.event_flags & EventFlag.FRAGMENT), [EventFlag.FRAGMENT]);
    assert.deepEqual(parser.run("host_egress", piece(3)), []);
    assert.equal(parser.entries().length, 4);
  });

  test("VLANs with the same addresses are different connections", () => {
    using parser = openParser(variant);
    const packet = (id: number) => ethernet({ vlans: [{ id }] }, ipv4({ protocol: IpProtocol.UDP }, udp({})));
    assert.equal(parser.run("host_ingress", packet(1)).length, 1);
    assert.equal(parser.run("host_ingress", packet(2)).length, 1);
    assert.equal(parser.run("host_ingress", packet(1)).length, 0);
    assert.equal(parser.entries().length, 2);
  });

  test("a UDP conversation that was silent for its lifetime starts again, from whoever speaks first", async () => {
    using parser = openParser(variant, { knobs: { other_lifetime_ns: LIFETIME } });
    const { udpFromPod, udpToPod } = conversation(parser);
    udpFromPod(undefined, 5);
    await sleep(WAIT);
    const [event] = udpToPod();
    assert.deepEqual([event.is_reply, event.traffic_direction], [ReplyState.NO, TrafficDirection.INGRESS]);
    assert.deepEqual([event.total_packets_tx, event.total_packets_rx, event.held_packets], [1, 0, 0]);
    const [answer] = udpFromPod();
    assert.deepEqual([answer.held_packets, answer.total_packets_rx], [4, 1]);
  });

  test("sampling holds back first packets of UDP in both directions until the interval", async () => {
    using parser = openParser(variant, {
      knobs: { sampling_rate: NEVER, report_interval_ns: LIFETIME },
    });
    const { udpFromPod, udpToPod } = conversation(parser);
    assert.deepEqual([...udpFromPod(undefined, 10), ...udpToPod(undefined, 5)], []);
    await sleep(WAIT);
    const events = [...udpFromPod(), ...udpToPod()];
    assert.deepEqual(events.map((event) => event.held_packets), [10, 5]);
    assert.deepEqual(events.map((event) => event.is_reply), [ReplyState.NO, ReplyState.YES]);
  });

  test("sampling spares SYN, FIN and RST but not new combinations of flags", () => {
    using parser = openParser(variant, { knobs: { sampling_rate: NEVER } });
    const { fromPod, toPod } = conversation(parser);
    assert.equal(fromPod(SYN).length, 1);
    assert.equal(toPod(SYN | ACK).length, 1);
    assert.deepEqual([...fromPod(ACK), ...fromPod(ACK | PSH)], []);
    const [fin] = fromPod(TcpFlag.FIN | ACK);
    assert.deepEqual([fin.held_packets, fin.held_ack, fin.held_psh], [2, 2, 1]);
    const [reset] = toPod(TcpFlag.RST);
    assert.equal(reset.held_packets, 0);
  });

  test("sampling one in four reports about a quarter of the first packets", () => {
    using parser = openParser(variant, { knobs: { sampling_rate: 4 } });
    let reported = 0;
    for (let port = 1; port <= 1000; port++) reported += conversation(parser, port).udpFromPod().length;
    assert.ok(reported > 150 && reported < 350, `${reported} of 1000`);
  });

  test("a gigabyte held back forces a report before its field overflows", () => {
    using parser = openParser(variant);
    const { udpFromPod } = conversation(parser);
    const payload = filler(3000), repeat = 400_000;
    const events = udpFromPod(payload, repeat);
    assert.equal(events.length, 2);
    const forced = events[1];
    const size = FRAME.udp + 3000;
    assert.ok(forced.held_bytes >= 2 ** 30 && forced.held_bytes < 2 ** 30 + size, `${forced.held_bytes}`);
    assert.equal(told(events).packets + heldPackets(parser.entries()), repeat);
  });

  test("two CPUs on one connection: the sums are exact", async () => {
    using parser = openParser(variant, { ringBytes: 1 << 23, knobs: { report_interval_ns: 5000 } });
    const packet = ethernet({}, ipv4({ protocol: IpProtocol.TCP }, tcp({ flags: ACK | PSH }, filler(7))));
    const rounds = 300, repeat = 5_000;
    const events: Event[] = [];
    let ownRounds = 0;
    using elsewhere = await runElsewhere(parser, packet, rounds, repeat);
    for (; !elsewhere.done; ownRounds++) {
      events.push(...parser.run("endpoint_ingress", packet, OWN_REPEAT));
      await sleep(0);
    }
    events.push(...parser.drain());
    const before = told(events);
    const stats = parser.stats();
    assert.ok(ownRounds > 2, `${ownRounds} rounds beside the other thread`);
    assert.equal(stats.PACKETS, rounds * repeat + ownRounds * OWN_REPEAT);
    assert.equal(stats.EVENTS, events.length);
    assert.equal(stats.CONNTRACK_CREATED, 1);
    assert.ok(events.length > 1000, `${events.length} reports`);
    assert.equal(before.packets + heldPackets(parser.entries()), stats.PACKETS);
    // All packets are alike, so that what is held of bytes and PSH follows from the packets.
    assert.equal(before.bytes, before.packets * packet.length);
    assert.equal(before.psh, before.packets);
    assert.equal(before.ack, before.packets);
  }, { needs: [twoCpus] });
}

testWith(
  [root, ebpf, kernel(5, 11)],
  "ring: conntrack: the coarse clock keeps the interval and the lifetime",
  async () => {
    using parser = openParser("ring", {
      knobs: { coarse_clock: 1, report_interval_ns: LIFETIME, other_lifetime_ns: 2 * LIFETIME },
    });
    const { udpFromPod } = conversation(parser);
    assert.equal(udpFromPod(undefined, 10).length, 1);
    await sleep(WAIT);
    assert.deepEqual(udpFromPod(undefined, 2).map((event) => event.held_packets), [9]);
    assert.equal(parser.stats().CONNTRACK_RESTARTED, 0);
    await sleep(2 * WAIT);
    assert.deepEqual(udpFromPod().map((event) => [event.held_packets, event.total_packets_tx]), [[1, 1]]);
    assert.equal(parser.stats().CONNTRACK_RESTARTED, 1);
  },
);

/** Rings so small that they overflow at once. */
for (const variant of VARIANTS) {
  const test = (name: string, options: ParserOptions, body: (parser: Parser) => Promise<void> | void) =>
    testWith([root, ebpf], `${variant}: full ring: ${name}`, async () => {
      using parser = openParser(variant, { ringBytes: 4096, ...options });
      using _cpu = pinned();
      await body(parser);
    });

  test("what found no room is counted, held back and told later", {}, (parser) => {
    const count = 200;
    for (let port = 1; port <= count; port++) {
      parser.send("endpoint_ingress", ethernet({}, ipv4({ protocol: 6 }, tcp({ sourcePort: port, flags: SYN }))));
    }
    const events = parser.drain();
    const stats = parser.stats();
    assert.ok(events.length > 10 && events.length < 40, `${events.length} fit`);
    assert.equal(stats.EVENTS, events.length);
    assert.equal(stats.EVENTS + stats.LOST, count);
    assert.equal(heldPackets(parser.entries()), stats.LOST);
    // The last SYN was among them. The next packet of the connection tells of it, although it is nothing new.
    const { toPod, fromPod } = conversation(parser, count);
    assert.equal(toPod(SYN | ACK).length, 1);
    const [late] = fromPod(ACK);
    assert.deepEqual([late.held_packets, late.held_syn, late.held_ack], [1, 1, 0]);
    assert.equal(late.total_packets_tx, 2);
    const [fin] = fromPod(TcpFlag.FIN | ACK);
    assert.deepEqual([fin.held_packets, fin.held_syn], [0, 0]);
  });

  test("the end of a connection is told as soon as there is room", {}, (parser) => {
    const { fromPod, toPod } = conversation(parser);
    fromPod(SYN);
    toPod(SYN | ACK);
    assert.deepEqual(toPod(ACK), []);
    fill(parser);
    parser.send("endpoint_ingress", ethernet({}, ipv4({ protocol: 6 }, tcp({ flags: TcpFlag.RST | ACK }))));
    parser.drain();
    // By whichever end sends next.
    assert.deepEqual(toPod(ACK).map((event) => event.event_flags & EventFlag.CLOSED), [EventFlag.CLOSED]);
    const [next] = fromPod(ACK);
    assert.deepEqual([next.held_rst, next.event_flags & EventFlag.CLOSED], [1, 0]);
    assert.deepEqual(fromPod(TcpFlag.RST).map((event) => event.event_flags & EventFlag.CLOSED), [0]);
  });

  test("what must be told is told by the next packet of its direction", {}, (parser) => {
    const { fromPod } = conversation(parser);
    fromPod(SYN);
    fromPod(ACK);
    assert.deepEqual(fromPod(ACK), []);
    fill(parser);
    parser.send("endpoint_ingress", ethernet({}, ipv4({ protocol: 6 }, tcp({ flags: TcpFlag.FIN | ACK }))));
    parser.drain();
    assert.deepEqual(fromPod(ACK).map((event) => [event.held_fin, event.held_packets]), [[1, 2]]);
    assert.deepEqual(fromPod(ACK), []);
  });

  test("rare flags stop at 255, packets and bytes do not", {}, (parser) => {
    const { fromPod } = conversation(parser);
    fill(parser);
    parser.send("endpoint_ingress", ethernet({}, ipv4({ protocol: 6 }, tcp({ flags: TcpFlag.ECE | ACK }))), 1000);
    parser.drain();
    const [event] = fromPod(ACK);
    assert.deepEqual([event.held_ece, event.held_packets, event.held_ack, event.held_cwr], [255, 1000, 1000, 0]);
    assert.equal(event.held_bytes, 1000 * FRAME.tcp);
  });

  test("ten gigabytes held back are told in pieces that fit", {}, (parser) => {
    fill(parser);
    const payload = filler(3500), repeat = 3_000_000;
    const packet = ethernet({}, ipv4({ protocol: 17 }, udp({ destinationPort: 80 }, payload)));
    parser.send("endpoint_ingress", packet, repeat);
    parser.drain();
    const { udpFromPod } = conversation(parser);
    const events: Event[] = [];
    let rounds = 0;
    while (told(events).bytes < repeat * packet.length + rounds * packet.length && rounds++ < 20) {
      events.push(...udpFromPod(payload));
    }
    assert.ok(events.length > 2 && events.length < 10, `${events.length} events`);
    assert.equal(told(events).packets, repeat + rounds);
    assert.equal(told(events).bytes, (repeat + rounds) * packet.length);
    const last = events[events.length - 1];
    assert.equal(last.total_bytes_tx, BigInt((repeat + rounds) * packet.length));
    assert.equal(last.total_packets_tx, repeat + rounds);
    assert.equal(heldPackets(parser.entries()), 1); // the one that found the ring full first
  });
}

/** Fills the ring with events of other connections. */
function fill(parser: Parser): void {
  const { LOST } = parser.stats();
  for (let port = 1; parser.stats().LOST < LOST + 1; port++) {
    parser.send("host_ingress", ethernet({}, ipv4({ protocol: 17, source: "10.9.9.9" }, udp({ sourcePort: port }))));
  }
}
