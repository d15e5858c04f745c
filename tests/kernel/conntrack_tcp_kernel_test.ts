import assert from "node:assert/strict";
import { EventFlag, ReplyState, TcpFlag, TrafficDirection } from "../../src/flow/record.ts";
import { ebpf, root, testWith } from "../lab/need.ts";
import { filler } from "../packets.ts";
import { conversation, FRAME, LIFETIME, sleep, told, WAIT } from "./conversation.ts";
import type { Event } from "./event.ts";
import { openLibraries, openParser, VARIANTS } from "./parser.ts";

const { SYN, ACK, PSH, FIN, RST, URG, ECE, CWR, NS } = TcpFlag;
const SYN_ACK = SYN | ACK;
const { EGRESS, INGRESS } = TrafficDirection;

openLibraries();

function closed(events: readonly Event[]): boolean[] {
  return events.map((event) => (event.event_flags & EventFlag.CLOSED) !== 0);
}

function initiators(events: readonly Event[]): [reply: number, direction: number][] {
  return events.map((event) => [event.is_reply, event.traffic_direction]);
}

for (const variant of VARIANTS) {
  const test = (name: string, body: () => Promise<void> | void) =>
    testWith([root, ebpf], `${variant}: conntrack: ${name}`, body);

  test("a TCP connection from SYN to the last ACK", () => {
    using parser = openParser(variant);
    const { fromPod, toPod } = conversation(parser);
    const [syn] = fromPod(SYN);
    assert.deepEqual([syn.is_reply, syn.traffic_direction], [ReplyState.NO, EGRESS]);
    const [synAck] = toPod(SYN_ACK);
    assert.deepEqual([synAck.is_reply, synAck.traffic_direction], [ReplyState.YES, EGRESS]);
    assert.equal(fromPod(ACK).length, 1); // a new combination of flags
    assert.equal(fromPod(ACK | PSH, filler(100)).length, 1); // another
    assert.deepEqual(fromPod(ACK | PSH, filler(50), 3), []);
    assert.deepEqual(toPod(ACK), []); // SYN-ACK had both flags
    const [answer] = toPod(ACK | PSH, filler(1000));
    assert.equal(answer.held_packets, 1);
    const [fin] = fromPod(FIN | ACK);
    assert.deepEqual(
      [fin.held_packets, fin.held_bytes, fin.held_ack, fin.held_psh, fin.held_fin, fin.held_syn],
      [3, 3 * (FRAME.tcp + 50), 3, 3, 0, 0],
    );
    assert.equal(fin.total_packets_tx, 7);
    assert.equal(fin.total_bytes_tx, BigInt(7 * FRAME.tcp + 250));
    assert.equal(fin.total_packets_rx, 3);
    assert.equal(fin.total_bytes_rx, BigInt(3 * FRAME.tcp + 1000));
    const end = [...toPod(ACK), ...toPod(FIN | ACK), ...fromPod(ACK), ...fromPod(ACK), ...toPod(ACK)];
    assert.deepEqual(closed([syn, synAck, answer, fin, ...end]), [
      false,
      false,
      false,
      false,
      false,
      true,
      false,
      false,
    ]);
    assert.deepEqual(end.map((event) => event.tcp_flags), [FIN | ACK, ACK, ACK, ACK]);
    assert.equal(parser.stats().CONNTRACK_CREATED, 1);
    assert.equal(parser.stats().CONNTRACK_RESTARTED, 0);
  });

  test("a direction is constant, whoever is behind the interface", () => {
    using parser = openParser(variant);
    const { fromPod, toPod } = conversation(parser, 80, 40000);
    assert.deepEqual(initiators([...toPod(SYN), ...fromPod(SYN_ACK), ...toPod(ACK)]), [
      [ReplyState.NO, INGRESS],
      [ReplyState.YES, INGRESS],
      [ReplyState.NO, INGRESS],
    ]);
  });

  test("a SYN-ACK seen first answers a SYN that nobody saw", () => {
    using parser = openParser(variant);
    const { fromPod, toPod } = conversation(parser, 80, 80);
    assert.deepEqual(initiators([...toPod(SYN_ACK), ...fromPod(ACK)]), [
      [ReplyState.YES, EGRESS],
      [ReplyState.NO, EGRESS],
    ]);
  });

  test("the initiator of a connection seen mid-stream is the end with the higher port", () => {
    using parser = openParser(variant);
    const client = conversation(parser, 40000, 80);
    assert.deepEqual(initiators([...client.toPod(ACK), ...client.fromPod(ACK)]), [
      [ReplyState.YES, EGRESS],
      [ReplyState.NO, EGRESS],
    ]);
    const server = conversation(parser, 443, 50000);
    assert.deepEqual(initiators(server.fromPod(ACK | PSH)), [[ReplyState.YES, INGRESS]]);
    const equal = conversation(parser, 179, 179);
    assert.deepEqual(initiators(equal.toPod(ACK)), [[ReplyState.NO, INGRESS]]);
  });

  test("a guess is mended by the first SYN or SYN-ACK, totals and all", () => {
    using parser = openParser(variant);
    // The server has the higher port: the guess is wrong.
    const bySyn = conversation(parser, 1000, 8080);
    assert.deepEqual(initiators(bySyn.fromPod(ACK)), [[ReplyState.YES, INGRESS]]);
    const [syn] = bySyn.fromPod(SYN);
    assert.deepEqual(initiators([syn]), [[ReplyState.NO, EGRESS]]);
    assert.deepEqual([syn.total_packets_tx, syn.total_packets_rx], [2, 0]);
    assert.deepEqual(initiators(bySyn.toPod(ACK)), [[ReplyState.YES, EGRESS]]);

    const bySynAck = conversation(parser, 1001, 8080);
    assert.deepEqual(initiators(bySynAck.fromPod(ACK)), [[ReplyState.YES, INGRESS]]);
    assert.deepEqual(initiators(bySynAck.toPod(SYN_ACK)), [[ReplyState.YES, EGRESS]]);
    // Known now: a SYN the other way is a simultaneous open, not a correction.
    assert.deepEqual(initiators(bySynAck.toPod(SYN)), [[ReplyState.YES, EGRESS]]);
  });

  test("a RST ends the connection once, and the next SYN opens another", () => {
    using parser = openParser(variant);
    const { fromPod, toPod } = conversation(parser);
    fromPod(SYN);
    toPod(SYN_ACK);
    fromPod(ACK);
    assert.deepEqual(fromPod(ACK, filler(10), 5), []);
    const [reset] = fromPod(RST | ACK);
    assert.deepEqual(closed([reset]), [true]);
    assert.equal(reset.held_packets, 5);
    assert.deepEqual(closed(toPod(RST)), [false]);
    assert.deepEqual(initiators(toPod(SYN)), [[ReplyState.NO, INGRESS]]);
    const [synAck] = fromPod(SYN_ACK);
    assert.deepEqual([synAck.total_packets_tx, synAck.total_packets_rx], [1, 1]);
    assert.equal(parser.stats().CONNTRACK_RESTARTED, 1);
    assert.equal(parser.entries().length, 1);
  });

  test("a port used again after both FIN opens a new connection, even before the last ACK", () => {
    using parser = openParser(variant);
    const { fromPod, toPod } = conversation(parser);
    fromPod(SYN);
    toPod(SYN_ACK);
    fromPod(FIN | ACK);
    toPod(FIN | ACK);
    const [syn] = fromPod(SYN);
    assert.deepEqual([syn.total_packets_tx, syn.total_packets_rx, syn.is_reply], [1, 0, ReplyState.NO]);
    assert.equal(parser.stats().CONNTRACK_RESTARTED, 1);
  });

  test("a repeated SYN belongs to its connection", () => {
    using parser = openParser(variant);
    const { fromPod } = conversation(parser);
    assert.deepEqual(fromPod(SYN, undefined, 3).map((event) => event.total_packets_tx), [1, 2, 3]);
  });

  test("a new SYN on a timed-out entry starts with fresh totals and loses nothing", async () => {
    using parser = openParser(variant, { knobs: { tcp_lifetime_ns: LIFETIME } });
    const { fromPod, toPod } = conversation(parser);
    const before = [...fromPod(SYN), ...toPod(SYN_ACK), ...fromPod(ACK), ...fromPod(ACK, filler(10), 9)];
    await sleep(WAIT);
    const [syn] = toPod(SYN);
    assert.deepEqual([syn.is_reply, syn.traffic_direction], [ReplyState.NO, INGRESS]);
    assert.deepEqual([syn.total_packets_tx, syn.total_bytes_tx], [1, BigInt(FRAME.tcp)]);
    assert.deepEqual([syn.total_packets_rx, syn.total_bytes_rx], [0, 0n]);
    const [synAck] = fromPod(SYN_ACK);
    // The nine packets that the old connection held back.
    assert.deepEqual([synAck.held_packets, synAck.held_bytes], [9, 9 * (FRAME.tcp + 10)]);
    assert.deepEqual([synAck.total_packets_rx, synAck.total_bytes_rx], [1, BigInt(FRAME.tcp)]);
    assert.equal(told([...before, syn, synAck]).packets, 14);
  });

  test("a connection that goes on after its time starts afresh with the initiator that it had", async () => {
    using parser = openParser(variant, { knobs: { tcp_lifetime_ns: LIFETIME } });
    const { fromPod, toPod } = conversation(parser, 80, 8080);
    fromPod(SYN);
    toPod(SYN_ACK);
    fromPod(ACK);
    await sleep(WAIT);
    const [late] = toPod(ACK);
    assert.deepEqual([late.is_reply, late.traffic_direction], [ReplyState.YES, EGRESS]);
    assert.deepEqual([late.total_packets_tx, late.total_packets_rx], [0, 1]);
    assert.equal(parser.stats().CONNTRACK_RESTARTED, 1);
  });

  test("a SYN without an answer is forgotten early, an answered one is not", async () => {
    using parser = openParser(variant, { knobs: { tcp_syn_lifetime_ns: LIFETIME } });
    const refused = conversation(parser, 40001);
    const accepted = conversation(parser, 40002);
    refused.fromPod(SYN);
    accepted.fromPod(SYN);
    accepted.toPod(SYN_ACK);
    await sleep(WAIT);
    accepted.fromPod(ACK);
    assert.equal(parser.stats().CONNTRACK_RESTARTED, 0);
    refused.fromPod(SYN);
    assert.equal(parser.stats().CONNTRACK_RESTARTED, 1);
  });

  test("after both FIN the entry lives for the TIME_WAIT, after RST for less", async () => {
    using parser = openParser(variant, {
      knobs: { tcp_time_wait_ns: LIFETIME, tcp_reset_lifetime_ns: LIFETIME },
    });
    const ended = conversation(parser, 40001);
    ended.fromPod(FIN | ACK);
    ended.toPod(FIN | ACK);
    const reset = conversation(parser, 40002);
    reset.fromPod(RST);
    await sleep(WAIT);
    assert.equal(parser.stats().CONNTRACK_RESTARTED, 0);
    ended.fromPod(ACK);
    reset.fromPod(ACK);
    assert.equal(parser.stats().CONNTRACK_RESTARTED, 2);
  });

  test("packets with a notable flag are always reported", () => {
    using parser = openParser(variant);
    const { fromPod } = conversation(parser);
    for (const flags of [SYN, ACK | URG, ACK | ECE, ACK | CWR]) {
      assert.equal(fromPod(flags, undefined, 4).length, 4, `flags ${flags}`);
    }
    assert.equal(fromPod(ACK, undefined, 4).length, 0);
  });

  test("NS is counted, and forces a report at 255", () => {
    using parser = openParser(variant);
    const { fromPod } = conversation(parser);
    fromPod(SYN);
    assert.equal(fromPod(ACK | NS).length, 1); // a new combination
    assert.deepEqual(fromPod(ACK | NS, undefined, 255), []);
    const [forced] = fromPod(ACK | NS);
    assert.deepEqual([forced.held_ns, forced.held_packets, forced.held_ack], [255, 255, 255]);
    assert.deepEqual(fromPod(ACK | NS), []);
  });

  test("packets without ACK are told apart from those with it", async () => {
    using parser = openParser(variant, { knobs: { report_interval_ns: LIFETIME } });
    const { fromPod } = conversation(parser);
    fromPod(SYN | PSH);
    fromPod(ACK);
    fromPod(PSH, undefined, 3);
    fromPod(ACK, undefined, 2);
    await sleep(WAIT);
    const [event] = fromPod(ACK);
    assert.deepEqual([event.held_packets, event.held_ack, event.held_psh], [5, 2, 3]);
  });
}
