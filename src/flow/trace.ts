import { TraceObservationPoint, TraceReason } from "../../proto/gen/flow/flow_pb.ts";
import { EVENT, IpProtocol, ReplyState, TcpFlag } from "./record.ts";

/** Flow.event_type.type of what a TC program saw: a trace event. */
export const EVENT_TYPE_TRACE = 4;

/** Flow.event_type.sub_type by {@link ObservationPoint}; "to endpoint" is 0 here. */
export const TRACE_SUB_TYPE: readonly number[] = [5, 0, 10, 11];

/** Flow.trace_observation_point by {@link ObservationPoint}. */
export const TRACE_POINT: readonly TraceObservationPoint[] = [
  TraceObservationPoint.FROM_ENDPOINT,
  TraceObservationPoint.TO_ENDPOINT,
  TraceObservationPoint.FROM_NETWORK,
  TraceObservationPoint.TO_NETWORK,
];

/**
 * What connection tracking knows of the packet of the record at byte `at`.
 *
 * NEW is said only of a packet that is the first of its connection and that can be: of TCP, one with SYN. A connection
 * that was there before the agent is ESTABLISHED from its first report on.
 */
export function traceReason(u8: Uint8Array, u16: Uint16Array, u32: Uint32Array, at: number): TraceReason {
  switch (u8[at + EVENT.is_reply]) {
    case ReplyState.YES:
      return TraceReason.REPLY;
    case ReplyState.NO: {
      const first = u32[(at + EVENT.total_packets_tx) >>> 2] === 1 && u32[(at + EVENT.total_packets_rx) >>> 2] === 0;
      const opens = u8[at + EVENT.protocol] !== IpProtocol.TCP ||
        (u16[(at + EVENT.tcp_flags) >>> 1] & TcpFlag.SYN) !== 0;
      return first && opens ? TraceReason.NEW : TraceReason.ESTABLISHED;
    }
    default:
      return TraceReason.TRACE_REASON_UNKNOWN;
  }
}
