import assert from "node:assert/strict";
import { EventFlag, IpProtocol, ObservationPoint, TrafficDirection } from "../../src/flow/record.ts";
import { clockNanos } from "../../ffi/system.ts";
import { ebpf, root, testWith } from "../lab/need.ts";
import { concat, ethernet, filler, ipv4, ipv6, tcp, udp } from "../packets.ts";
import { expectedEvent, withoutTime } from "./event.ts";
import { ignoredCases, packetCases } from "./packet_cases.ts";
import { heldPackets, openLibraries, openParser, type ProgramName, VARIANTS } from "./parser.ts";

const NEEDS = [root, ebpf];
const PACKET = ethernet({}, ipv4({ protocol: IpProtocol.UDP }, udp({})));

openLibraries();

for (const variant of VARIANTS) {
  testWith(NEEDS, `${variant}: packets give their event, field by field`, async (t) => {
    using parser = openParser(variant);
    for (const { name, packet, event } of packetCases) {
      await t.step(name, () => {
        parser.forget();
        const events = parser.run("endpoint_ingress", packet);
        assert.deepEqual(events.map(withoutTime), [expectedEvent(packet, event)]);
      });
    }
  });

  testWith(NEEDS, `${variant}: packets that are ignored are counted by reason`, async (t) => {
    using parser = openParser(variant);
    for (const { name, packet, reason } of ignoredCases) {
      await t.step(name, () => {
        const before = parser.stats();
        assert.deepEqual(parser.run("endpoint_ingress", packet), []);
        const after = parser.stats();
        const changed = Object.keys(after).filter((key) => after[key] !== before[key]);
        assert.deepEqual(changed.sort(), ["BYTES", "PACKETS", reason].sort());
        assert.equal(after[reason] - before[reason], 1);
        assert.equal(after.BYTES - before.BYTES, packet.length);
      });
    }
    assert.deepEqual(parser.entries(), []);
  });

  testWith(NEEDS, `${variant}: programs report their observation point and direction`, () => {
    using parser = openParser(variant);
    const points: [ProgramName, number, number][] = [
      ["endpoint_ingress", ObservationPoint.FROM_ENDPOINT, TrafficDirection.EGRESS],
      ["endpoint_egress", ObservationPoint.TO_ENDPOINT, TrafficDirection.INGRESS],
      ["host_ingress", ObservationPoint.FROM_NETWORK, TrafficDirection.INGRESS],
      ["host_egress", ObservationPoint.TO_NETWORK, TrafficDirection.EGRESS],
    ];
    for (const [program, observation_point, traffic_direction] of points) {
      parser.forget();
      const expected = expectedEvent(PACKET, { src_port: 40000, dst_port: 53, observation_point, traffic_direction });
      assert.deepEqual(parser.run(program, PACKET).map(withoutTime), [expected]);
    }
  });

  testWith(NEEDS, `${variant}: devices without a link header`, () => {
    using parser = openParser(variant);
    const four = ipv4({ protocol: IpProtocol.UDP }, udp({}));
    const six = ipv6({ nextHeader: IpProtocol.UDP }, udp({}));
    // The source address makes this packet look like Ethernet with an IPv4 EtherType.
    const lookalike = ipv4({ protocol: IpProtocol.TCP, source: "8.0.69.0" }, tcp({ flags: 2 }));
    const plain = { event_flags: 0, ethernet: undefined, src_port: 40000, dst_port: 53 };
    const cases = [
      [four, expectedEvent(four, { ...plain, observation_point: 2, traffic_direction: 1 })],
      [
        six,
        expectedEvent(six, {
          ...plain,
          ip_version: 6,
          src_addr: "fd00::1",
          dst_addr: "fd00::2",
          observation_point: 2,
          traffic_direction: 1,
        }),
      ],
      [
        lookalike,
        expectedEvent(lookalike, {
          ...plain,
          src_addr: "8.0.69.0",
          protocol: 6,
          dst_port: 80,
          tcp_flags: 2,
          observation_point: 2,
          traffic_direction: 1,
        }),
      ],
    ] as const;
    for (const [packet, expected] of cases) {
      assert.deepEqual(parser.run("host_ingress_l3", packet).map(withoutTime), [expected]);
    }
    parser.forget();
    assert.deepEqual(parser.run("host_egress_l3", four).map((event) => event.observation_point), [3]);
    assert.deepEqual(parser.run("host_ingress_l3", filler(40)), []);
    assert.equal(parser.stats().NOT_IP, 1);
  });

  testWith(NEEDS, `${variant}: events carry the time of the packet`, () => {
    using parser = openParser(variant);
    const clock = variant === "ring" ? 7 : 1;
    const before = clockNanos(clock);
    const [event] = parser.run("endpoint_ingress", PACKET);
    const after = clockNanos(clock);
    assert.ok(before <= event.ts_ns && event.ts_ns <= after, `${before} <= ${event.ts_ns} <= ${after}`);
  });

  testWith(NEEDS, `${variant}: every prefix of every packet is either parsed or counted`, () => {
    using parser = openParser(variant);
    for (const { packet } of packetCases) {
      const inVlan = concat(packet.slice(0, 12), Uint8Array.of(0x81, 0, 0, 5), packet.slice(12));
      for (let length = 15; length < inVlan.length; length++) parser.send("host_ingress", inVlan.slice(0, length));
      parser.drain();
    }
    const { PACKETS, EVENTS, LOST, CONNTRACK_FAILED, ...rest } = parser.stats();
    assert.equal(LOST + CONNTRACK_FAILED, 0);
    const ignored = rest.NOT_IP + rest.L2_TRUNCATED + rest.L3_TRUNCATED + rest.L4_TRUNCATED + rest.BAD_HEADER +
      rest.TOO_MANY_HEADERS;
    assert.ok(EVENTS > 0 && ignored > 0);
    const held = PACKETS - EVENTS - ignored;
    assert.equal(heldPackets(parser.entries()), held);
  });

  testWith(NEEDS, `${variant}: a large packet counts its bytes`, () => {
    using parser = openParser(variant);
    const packet = concat(ethernet({}, ipv4({ protocol: IpProtocol.UDP }, udp({}, filler(3000)))));
    const [event] = parser.run("endpoint_ingress", packet);
    assert.equal(event.bytes, packet.length);
    assert.equal(event.event_flags, EventFlag.ETHERNET);
  });
}
