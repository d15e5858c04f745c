/** What a test run cannot make: VLAN tags that the kernel took off, headers in page fragments, devices without a link header. */
import assert from "node:assert/strict";
import { interfaceIndex } from "../../ffi/system.ts";
import { inNetworkNamespace, openLibraries as openTestingLibraries, run } from "../../ffi/testing.ts";
import { IpProtocol, TcpFlag } from "../../src/flow/record.ts";
import { ebpf, type Need, program, root, testWith } from "../lab/need.ts";
import { type Bytes, concat, ethernet, EtherType, filler, ipv4, ipv6, tcp, timestampOption, udp } from "../packets.ts";
import { sleep } from "./conversation.ts";
import { type Event, expectedEvent, withoutTime } from "./event.ts";
import { attach, openLibraries, openParser, type Parser, VARIANTS } from "./parser.ts";
import { packetSocket, tunDevice } from "./raw.ts";

openLibraries();
openTestingLibraries();

const NEEDS = [root, ebpf, program("ip")];
/** Addresses of the frames, apart from whatever else the kernel says on a fresh interface. */
const SOURCE = "198.51.100.1", DESTINATION = "198.51.100.2";

const tun: Need = () => {
  try {
    Deno.statSync("/dev/net/tun");
    return undefined;
  } catch {
    return "kernel: no /dev/net/tun";
  }
};

/** Two ends of a veth with a large MTU, both up. */
function makeVeth(): void {
  run("ip", "link", "add", "left", "mtu", "9000", "type", "veth", "peer", "name", "right", "mtu", "9000");
  run("ip", "link", "set", "left", "up");
  run("ip", "link", "set", "right", "up");
}

async function received(parser: Parser, count: number): Promise<Event[]> {
  const events: Event[] = [];
  for (let waited = 0; events.length < count && waited < 2000; waited += 5) {
    await sleep(5);
    events.push(...parser.drain().filter((event) => event.src_addr === SOURCE || event.src_addr === "2001:db8::1"));
  }
  return events;
}

function datagram(payload: Bytes): Bytes {
  return ipv4({ protocol: IpProtocol.UDP, source: SOURCE, destination: DESTINATION }, payload);
}

for (const variant of VARIANTS) {
  testWith(NEEDS, `${variant}: VLAN tags that the kernel took off the packet`, () =>
    inNetworkNamespace(async () => {
      makeVeth();
      using parser = openParser(variant);
      using _ingress = attach(parser, "host_ingress", "right", "ingress");
      using socket = packetSocket(interfaceIndex("left"));
      socket.send(ethernet({ vlans: [{ id: 100, priority: 5 }] }, datagram(udp({}))));
      socket.send(ethernet({ vlans: [{ id: 200, type: EtherType.QINQ }, { id: 7 }] }, datagram(udp({}))));
      socket.send(ethernet({}, datagram(udp({}))));
      const events = await received(parser, 3);
      assert.deepEqual(events.map((event) => event.vlan_id), [100, 200, 0]);
      assert.deepEqual(events.map((event) => [event.src_port, event.dst_port]), Array(3).fill([40000, 53]));
      assert.deepEqual(events.map((event) => event.ifindex), Array(3).fill(interfaceIndex("right")));
    }));

  testWith(NEEDS, `${variant}: headers in page fragments are read all the same`, () =>
    inNetworkNamespace(async () => {
      makeVeth();
      using parser = openParser(variant);
      using _egress = attach(parser, "host_egress", "left", "egress");
      using socket = packetSocket(interfaceIndex("left"));
      // Frames longer than a page: the packet socket leaves only the Ethernet header in the linear part.
      const stamps = concat(Uint8Array.of(1, 1), timestampOption(11, 22));
      const segment = tcp({ flags: TcpFlag.SYN, seq: 5, options: stamps }, filler(6000));
      const frames = [
        ethernet({}, datagram(udp({}, filler(6000)))),
        ethernet({}, ipv4({ protocol: IpProtocol.TCP, source: SOURCE, destination: DESTINATION }, segment)),
        ethernet(
          {},
          ipv6(
            { nextHeader: 60, source: "2001:db8::1" },
            concat(Uint8Array.of(17, 0), filler(6), udp({}, filler(6000))),
          ),
        ),
        ethernet(
          { vlans: [{ id: 9 }] },
          ipv6({ nextHeader: 17, source: "2001:db8::1" }, udp({ sourcePort: 1 }, filler(6000))),
        ),
      ];
      frames.forEach((frame) => socket.send(frame));
      const seen = { src_addr: SOURCE, dst_addr: DESTINATION, ifindex: interfaceIndex("left"), observation_point: 3 };
      const six = { ...seen, src_addr: "2001:db8::1", dst_addr: "fd00::2", ip_version: 6 };
      const expected = [
        expectedEvent(frames[0], { ...seen, src_port: 40000, dst_port: 53 }),
        expectedEvent(frames[1], {
          ...seen,
          ...{ protocol: 6, src_port: 40000, dst_port: 80, tcp_flags: TcpFlag.SYN, tcp_seq: 5, event_flags: 3 },
          ...{ tcp_tsval: 11, tcp_tsecr: 22 },
        }),
        expectedEvent(frames[2], { ...six, src_port: 40000, dst_port: 53 }),
        expectedEvent(frames[3], { ...six, src_port: 1, dst_port: 53, vlan_id: 9 }),
      ];
      assert.deepEqual((await received(parser, 4)).map(withoutTime), expected);
    }));

  testWith([...NEEDS, tun], `${variant}: a device without a link header`, () =>
    inNetworkNamespace(async () => {
      using device = tunDevice("tun0");
      run("ip", "link", "set", "tun0", "up");
      using parser = openParser(variant);
      using _ingress = attach(parser, "host_ingress_l3", "tun0", "ingress");
      const packets = [
        datagram(udp({}, filler(4))),
        ipv6({ nextHeader: IpProtocol.UDP, source: "2001:db8::1" }, udp({})),
      ];
      packets.forEach((packet) => device.send(packet));
      const seen = {
        ...{ ifindex: interfaceIndex("tun0"), observation_point: 2, traffic_direction: 1, event_flags: 0 },
        ...{ ethernet: undefined, src_port: 40000, dst_port: 53 },
      };
      assert.deepEqual((await received(parser, 2)).map(withoutTime), [
        expectedEvent(packets[0], { ...seen, src_addr: SOURCE, dst_addr: DESTINATION }),
        expectedEvent(packets[1], { ...seen, src_addr: "2001:db8::1", dst_addr: "fd00::2", ip_version: 6 }),
      ]);
    }));

  testWith(
    NEEDS,
    `${variant}: two interfaces that see one packet have a connection each`,
    () =>
      inNetworkNamespace(async () => {
        makeVeth();
        using parser = openParser(variant);
        using _egress = attach(parser, "host_egress", "left", "egress");
        using _ingress = attach(parser, "host_ingress", "right", "ingress");
        using socket = packetSocket(interfaceIndex("left"));
        const frame = ethernet({}, datagram(udp({})));
        for (let count = 0; count < 1000; count++) socket.send(frame);
        const events = await received(parser, 2);
        assert.deepEqual(events.map((event) => event.total_packets_tx), [1, 1]);
        const totals = parser.entries().filter(({ key }) =>
          key.getUint16(34, true) === 53 || key.getUint16(32, true) === 53
        )
          .map(({ value }) =>
            [16, 72].map((side) => value.getUint32(side + 48, true) + Number(value.getBigUint64(side, true) >> 36n))
          );
        assert.deepEqual(totals.map((sides) => Math.max(...sides)), [1000, 1000]);
      }),
  );
}
