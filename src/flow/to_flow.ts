import { create, fromBinary, fromJson, type MessageInitShape } from "@bufbuild/protobuf";
import { anyPack, StructSchema, type Timestamp, TimestampSchema } from "@bufbuild/protobuf/wkt";
import {
  EndpointSchema,
  type Flow,
  FlowSchema,
  FlowType,
  IPVersion,
  type Service,
  ServiceSchema,
  TrafficDirection,
  Verdict,
} from "../../proto/gen/flow/flow_pb.ts";
import { type GetFlowsResponse, GetFlowsResponseSchema } from "../../proto/gen/observer/observer_pb.ts";
import type { Identity } from "../identity/identity.ts";
import { applyFieldMask, type FieldMask } from "./field_mask.ts";
import { EVENT, EventFlag, IpProtocol, ReplyState, SLOT, SlotKind, TcpFlag } from "./record.ts";
import { summaryKey, summaryText } from "./summary.ts";
import { addressText, macText } from "./text.ts";
import { EVENT_TYPE_TRACE, TRACE_POINT, TRACE_SUB_TYPE, traceReason } from "./trace.ts";
import type { FlowView } from "./view.ts";

/**
 * Records as messages of the protobuf library: about forty times slower than the encoder, and the oracle that its bytes
 * are checked against. For tests, and where a message is really needed.
 */

/** The Flow of a record. */
export function recordToFlow(view: FlowView): Flow {
  const { u8, u16, u32, at } = view;
  const point = u8[at + EVENT.observation_point] & 3;
  const direction = u8[at + EVENT.traffic_direction];
  const ipVersion = u8[at + EVENT.ip_version];
  const reply = u8[at + EVENT.is_reply];
  const source = view.sourceIdentity(), destination = view.destinationIdentity();
  const sourceService = serviceOf(source), destinationService = serviceOf(destination);
  const l4 = layer4(view);
  return create(FlowSchema, {
    time: timeOf(view),
    uuid: view.uuid(),
    verdict: Verdict.FORWARDED,
    IP: {
      source: addressText(u8, at + EVENT.src_addr, ipVersion),
      destination: addressText(u8, at + EVENT.dst_addr, ipVersion),
      ipVersion: ipVersion === 4 ? IPVersion.IPv4 : IPVersion.IPv6,
    },
    ...(u8[at + EVENT.event_flags] & EventFlag.ETHERNET && {
      ethernet: {
        source: macText(u8, at + SLOT.ethernet_source),
        destination: macText(u8, at + SLOT.ethernet_destination),
      },
    }),
    ...(l4 && { l4: { protocol: l4 } }),
    source: fromBinary(EndpointSchema, source.endpointBytes),
    destination: fromBinary(EndpointSchema, destination.endpointBytes),
    Type: FlowType.L3_L4,
    nodeName: view.context.nodeName,
    sourceNames: [...source.names],
    destinationNames: [...destination.names],
    ...(sourceService && { sourceService }),
    ...(destinationService && { destinationService }),
    eventType: { type: EVENT_TYPE_TRACE, subType: TRACE_SUB_TYPE[point] },
    traceObservationPoint: TRACE_POINT[point],
    traceReason: traceReason(u8, u16, u32, at),
    trafficDirection: direction <= 2 ? direction : TrafficDirection.TRAFFIC_DIRECTION_UNKNOWN,
    ...((reply === ReplyState.NO || reply === ReplyState.YES) && { isReply: reply === ReplyState.YES }),
    interface: { index: u32[(at + EVENT.ifindex) >>> 2], name: view.interfaceName() },
    emitter: { ...view.context.emitter },
    Summary: summaryText(summaryKey(u8, u16, at)),
    extensions: anyPack(StructSchema, fromJson(StructSchema, extension(view))),
  });
}

/** What GetFlows answers for a slot: the flow, masked, or the lost event. */
export function toResponse(view: FlowView, mask?: FieldMask): GetFlowsResponse {
  if (view.kind === SlotKind.LOST) {
    return create(GetFlowsResponseSchema, {
      responseTypes: { case: "lostEvents", value: view.lost() },
      nodeName: view.context.nodeName,
      time: timeOf(view),
    });
  }
  const whole = view.kind === SlotKind.MESSAGE ? view.message() : recordToFlow(view);
  const flow = mask === undefined ? whole : applyFieldMask(mask, whole);
  return create(GetFlowsResponseSchema, {
    responseTypes: { case: "flow", value: flow },
    nodeName: flow.nodeName,
    ...(flow.time && { time: flow.time }),
  });
}

function timeOf(view: FlowView): Timestamp {
  return create(TimestampSchema, { seconds: BigInt(view.seconds()), nanos: view.nanos() });
}

function serviceOf(identity: Identity): Service | undefined {
  return identity.serviceBytes.length === 0 ? undefined : fromBinary(ServiceSchema, identity.serviceBytes);
}

type Protocol = NonNullable<NonNullable<MessageInitShape<typeof FlowSchema>["l4"]>["protocol"]>;

function layer4({ u8, u16, at }: FlowView): Protocol | undefined {
  if (u8[at + EVENT.event_flags] & EventFlag.FRAGMENT) return undefined;
  const sourcePort = u16[(at + EVENT.src_port) >>> 1], destinationPort = u16[(at + EVENT.dst_port) >>> 1];
  const type = u8[at + EVENT.icmp_type], code = u8[at + EVENT.icmp_code];
  switch (u8[at + EVENT.protocol]) {
    case IpProtocol.TCP: {
      const bits = u16[(at + EVENT.tcp_flags) >>> 1];
      const flags = Object.fromEntries(Object.entries(TcpFlag).map(([name, bit]) => [name, (bits & bit) !== 0]));
      return { case: "TCP", value: { sourcePort, destinationPort, flags } };
    }
    case IpProtocol.UDP:
      return { case: "UDP", value: { sourcePort, destinationPort } };
    case IpProtocol.SCTP:
      return { case: "SCTP", value: { sourcePort, destinationPort } };
    case IpProtocol.ICMP:
      return { case: "ICMPv4", value: { type, code } };
    case IpProtocol.ICMPV6:
      return { case: "ICMPv6", value: { type, code } };
    default:
      return undefined;
  }
}

/** The Struct of Flow.extensions, see `extension.ts`. */
function extension({ u8, u16, data, at }: FlowView): Record<string, number | Record<string, number>> {
  const word = (offset: number) => data.getUint32(at + offset, true);
  const long = (offset: number) => Number(data.getBigUint64(at + offset, true));
  const held = word(EVENT.held_packets);
  const heldFlags = Object.entries({
    SYN: u8[at + EVENT.held_syn],
    ACK: word(EVENT.held_ack),
    RST: u8[at + EVENT.held_rst],
    FIN: u8[at + EVENT.held_fin],
    PSH: word(EVENT.held_psh),
    URG: u8[at + EVENT.held_urg],
    ECE: u8[at + EVENT.held_ece],
    CWR: u8[at + EVENT.held_cwr],
    NS: u8[at + EVENT.held_ns],
  }).filter(([, count]) => count !== 0);
  const tracked = word(EVENT.total_packets_tx) !== 0 || word(EVENT.total_packets_rx) !== 0;
  const fragment = (u8[at + EVENT.event_flags] & EventFlag.FRAGMENT) !== 0;
  const tcp = u8[at + EVENT.protocol] === IpProtocol.TCP && !fragment;
  const vlan = u16[(at + EVENT.vlan_id) >>> 1];
  return {
    bytes: word(EVENT.bytes),
    ...(held !== 0 && {
      previously_observed_packets: held,
      previously_observed_bytes: word(EVENT.held_bytes),
      ...(heldFlags.length !== 0 && { previously_observed_tcp_flags: Object.fromEntries(heldFlags) }),
    }),
    ...(tracked && {
      total_packets_tx: word(EVENT.total_packets_tx),
      total_bytes_tx: long(EVENT.total_bytes_tx),
      total_packets_rx: word(EVENT.total_packets_rx),
      total_bytes_rx: long(EVENT.total_bytes_rx),
    }),
    ...(tcp && {
      tcp_seq: word(EVENT.tcp_seq),
      ...(u16[(at + EVENT.tcp_flags) >>> 1] & TcpFlag.ACK && { tcp_ack: word(EVENT.tcp_ack) }),
      ...(u8[at + EVENT.event_flags] & EventFlag.TCP_TIMESTAMP && {
        tcp_tsval: word(EVENT.tcp_tsval),
        tcp_tsecr: word(EVENT.tcp_tsecr),
      }),
    }),
    ...(vlan !== 0 && { vlan_id: vlan }),
  };
}
