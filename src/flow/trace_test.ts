import assert from "node:assert/strict";
import { TraceReason } from "../../proto/gen/flow/flow_pb.ts";
import { IpProtocol, ReplyState, TcpFlag } from "./record.ts";
import { event, type EventFields } from "./test_support.ts";
import { traceReason } from "./trace.ts";

Deno.test("traceReason() says NEW only of what opens a connection", () => {
  const { TCP, UDP, ICMP } = IpProtocol;
  const { NEW, ESTABLISHED, REPLY, TRACE_REASON_UNKNOWN } = TraceReason;
  const first = { total_packets_tx: 1 };
  const cases: [EventFields, TraceReason][] = [
    [{ protocol: TCP, tcp_flags: TcpFlag.SYN, ...first }, NEW],
    [{ protocol: TCP, tcp_flags: TcpFlag.SYN, total_packets_tx: 2 }, ESTABLISHED],
    [{ protocol: TCP, tcp_flags: TcpFlag.ACK, ...first }, ESTABLISHED],
    [{ protocol: UDP, ...first }, NEW],
    [{ protocol: UDP, ...first, total_packets_rx: 1 }, ESTABLISHED],
    [{ protocol: ICMP, ...first }, NEW],
    [{ protocol: UDP, is_reply: ReplyState.YES, ...first }, REPLY],
    [{ protocol: UDP, is_reply: ReplyState.UNKNOWN, ...first }, TRACE_REASON_UNKNOWN],
  ];
  for (const [fields, reason] of cases) {
    const { buffer } = event(fields);
    const actual = traceReason(new Uint8Array(buffer), new Uint16Array(buffer), new Uint32Array(buffer), 0);
    assert.equal(TraceReason[actual], TraceReason[reason], JSON.stringify(fields));
  }
});
