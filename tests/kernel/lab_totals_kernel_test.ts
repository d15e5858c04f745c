/** Real connections of the lab: what a pod's veth and the node's device tell, against what was sent. */
import assert from "node:assert/strict";
import { inNetworkNamespace, openLibraries as openTestingLibraries } from "../../ffi/testing.ts";
import { interfaceIndex } from "../../ffi/system.ts";
import { EventFlag, IpProtocol, ReplyState, TcpFlag, TrafficDirection } from "../../src/flow/record.ts";
import { createLab, type Lab } from "../lab/lab.ts";
import { ebpf, lab as labNeed, testWith } from "../lab/need.ts";
import { sendTcp, sendUdp, serve } from "../lab/traffic.ts";
import { sleep, told } from "./conversation.ts";
import type { Event } from "./event.ts";
import { attach, openLibraries, openParser, type Parser, VARIANTS } from "./parser.ts";

openLibraries();
openTestingLibraries();

const COUNT = 1000;
const SIZE = 64;
/** Ethernet, IP and UDP headers. */
const OVERHEAD = { ipv4: 14 + 20 + 8, ipv6: 14 + 40 + 8 } as const;

/** Runs a body in the node's namespace, with the programs on the first pod's veth and on the host device. */
async function watched(variant: typeof VARIANTS[number], body: (lab: Lab, parser: Parser) => Promise<void>) {
  await using lab = await createLab({ pods: 1 });
  const [pod] = lab.pods;
  await inNetworkNamespace(async () => {
    using parser = openParser(variant, { ringBytes: 1 << 20, knobs: { report_interval_ns: 1_500_000_000 } });
    using stack = new DisposableStack();
    stack.use(attach(parser, "endpoint_ingress", pod.nodeDevice, "ingress"));
    stack.use(attach(parser, "endpoint_egress", pod.nodeDevice, "egress"));
    stack.use(attach(parser, "host_ingress", lab.hostDevice, "ingress"));
    stack.use(attach(parser, "host_egress", lab.hostDevice, "egress"));
    await body(lab, parser);
  }, lab.node.path);
}

/** Takes the events, in the order of their packets: each CPU has its own perf ring. */
function inOrder(parser: Parser): Event[] {
  return parser.drain().sort((a, b) => Number(a.ts_ns - b.ts_ns));
}

/** Events of one device and direction. */
function eventsOf(events: readonly Event[], device: string, isReply: number): Event[] {
  return events.filter((event) => event.ifindex === interfaceIndex(device) && event.is_reply === isReply);
}

for (const variant of VARIANTS) {
  for (const family of ["ipv4", "ipv6"] as const) {
    testWith(
      [labNeed, ebpf],
      `${variant}: a thousand ${family} datagrams and echoes are told exactly, at both devices`,
      () =>
        watched(variant, async (lab, parser) => {
          const [pod] = lab.pods;
          await using _server = await serve(lab.client.namespace);
          const to = { address: lab.client[family], size: SIZE, sourcePort: 5555 };
          const first = await sendUdp(pod.namespace, { ...to, count: COUNT - 1 });
          assert.equal(first.received, COUNT - 1);
          await sleep(1600);
          await sendUdp(pod.namespace, { ...to, count: 1 });
          const events = inOrder(parser).filter((event) => event.protocol === IpProtocol.UDP);
          for (
            const [device, direction] of [[pod.nodeDevice, TrafficDirection.EGRESS], [
              lab.hostDevice,
              TrafficDirection.EGRESS,
            ]] as const
          ) {
            for (const isReply of [ReplyState.NO, ReplyState.YES]) {
              const own = eventsOf(events, device, isReply);
              assert.ok(own.length >= 2 && own.length < 10, `${own.length} events at ${device}`);
              assert.equal(told(own).packets, COUNT, `${device}, reply ${isReply}`);
              assert.equal(told(own).bytes, COUNT * (OVERHEAD[family] + SIZE));
              assert.deepEqual([...new Set(own.map((event) => event.traffic_direction))], [direction]);
            }
            const last = eventsOf(events, device, ReplyState.YES).at(-1);
            assert.deepEqual([last?.total_packets_tx, last?.total_packets_rx], [COUNT, COUNT]);
            assert.equal(last?.total_bytes_rx, BigInt(COUNT * (OVERHEAD[family] + SIZE)));
          }
        }),
    );
  }

  testWith(
    [labNeed, ebpf],
    `${variant}: a TCP connection is told from SYN to its end, alike at both devices`,
    () =>
      watched(variant, async (lab, parser) => {
        const [pod] = lab.pods;
        await using _server = await serve(lab.client.namespace);
        const sent = await sendTcp(pod.namespace, { address: lab.client.ipv4, messages: 100, size: 100 });
        await sleep(500); // the last segments of the closing end
        const events = inOrder(parser).filter((event) =>
          event.protocol === IpProtocol.TCP &&
          sent.sourcePorts.includes(event.is_reply ? event.dst_port : event.src_port)
        );
        const sums = [pod.nodeDevice, lab.hostDevice].map((device) =>
          [ReplyState.NO, ReplyState.YES].map((isReply) => told(eventsOf(events, device, isReply)))
        );
        assert.deepEqual(sums[0], sums[1]);
        const [request, reply] = sums[0];
        // Each message and each echo is a segment with PSH; all but the SYN have ACK.
        assert.ok(request.psh >= 100 && reply.psh >= 100, `${request.psh} and ${reply.psh} segments with PSH`);
        assert.equal(request.ack, request.packets - 1);
        assert.equal(reply.ack, reply.packets);
        for (const device of [pod.nodeDevice, lab.hostDevice]) {
          const own = events.filter((event) => event.ifindex === interfaceIndex(device));
          assert.equal(own[0].tcp_flags, TcpFlag.SYN);
          assert.equal(own.filter((event) => event.event_flags & EventFlag.CLOSED).length, 1);
          assert.ok(own.every((event) => event.event_flags & EventFlag.TCP_TIMESTAMP));
          assert.ok(own.every((event) => event.traffic_direction === TrafficDirection.EGRESS));
        }
      }),
  );
}
