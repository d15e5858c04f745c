/**
 * The binary form of a flow: `struct packet_event` as the kernel wrote it, and what user space adds in the same slot.
 *
 * Offsets and units follow `bpf/packet_event.h`, which is the authority; `record_test.ts` compares both through BTF.
 * Multi-byte fields are little-endian here because every supported node is little-endian (x86-64, arm64).
 *
 * A slot of the {@link FlowStore} is 160 bytes:
 *
 * | offset | size | content |
 * |---|---|---|
 * | 0 | 128 | the event, verbatim |
 * | 128 | 4 | source identity: index into the identity table |
 * | 132 | 4 | destination identity: index into the identity table |
 * | 136 | 4 | CLOCK_REALTIME − CLOCK_BOOTTIME when the event was read: whole seconds |
 * | 140 | 4 | the same: remaining nanoseconds, 0..999,999,999 |
 * | 144 | 12 | Ethernet destination and source address, valid with EVENT_ETHERNET |
 * | 156 | 1 | slot kind, {@link SlotKind} |
 * | 157 | 1 | zero |
 * | 158 | 2 | interface: index into the interface name table |
 */

/** Size of `struct packet_event` in bytes. */
export const EVENT_SIZE = 128;
/** Size of `struct packet_ethernet`, the optional tail of an event, in bytes. */
export const ETHERNET_SIZE = 16;
/** Size of one slot of the flow store in bytes. */
export const SLOT_SIZE = 160;

/** Byte offsets of the fields of `struct packet_event`. */
export const EVENT = {
  ts_ns: 0,
  src_addr: 8,
  dst_addr: 24,
  bytes: 40,
  ifindex: 44,
  src_port: 48,
  dst_port: 50,
  tcp_flags: 52,
  vlan_id: 54,
  protocol: 56,
  ip_version: 57,
  observation_point: 58,
  traffic_direction: 59,
  is_reply: 60,
  icmp_type: 61,
  icmp_code: 62,
  event_flags: 63,
  tcp_seq: 64,
  tcp_ack: 68,
  tcp_tsval: 72,
  tcp_tsecr: 76,
  total_bytes_tx: 80,
  total_bytes_rx: 88,
  total_packets_tx: 96,
  total_packets_rx: 100,
  held_packets: 104,
  held_bytes: 108,
  held_ack: 112,
  held_psh: 116,
  held_fin: 120,
  held_syn: 121,
  held_rst: 122,
  held_urg: 123,
  held_ece: 124,
  held_cwr: 125,
  held_ns: 126,
  reserved: 127,
} as const;

/** Byte offsets of what user space adds to a slot. */
export const SLOT = {
  source_identity: 128,
  destination_identity: 132,
  wall_offset_seconds: 136,
  wall_offset_nanos: 140,
  ethernet_destination: 144,
  ethernet_source: 150,
  kind: 156,
  interface_index: 158,
} as const;

/** What a slot of the flow store holds. */
export const SlotKind = {
  /** Never written. */
  EMPTY: 0,
  /** A record: `struct packet_event` and what user space added. */
  RECORD: 1,
  /** Stands for a whole Flow message (a replayed flow), kept in the store's side table. */
  MESSAGE: 2,
  /** Stands for a LostEvent message, kept in the store's side table. */
  LOST: 3,
} as const;
export type SlotKind = typeof SlotKind[keyof typeof SlotKind];

/** `enum observation_point` of `bpf/packet_event.h`. */
export const ObservationPoint = { FROM_ENDPOINT: 0, TO_ENDPOINT: 1, FROM_NETWORK: 2, TO_NETWORK: 3 } as const;

/** `enum traffic_direction`; the numbers equal Hubble's flow.TrafficDirection. */
export const TrafficDirection = { UNKNOWN: 0, INGRESS: 1, EGRESS: 2 } as const;

/** `enum reply_state`. */
export const ReplyState = { NO: 0, YES: 1, UNKNOWN: 2 } as const;

/** `enum tcp_flag` (RFC 9293 section 3.1; NS is bit 8). */
export const TcpFlag = {
  FIN: 0x001,
  SYN: 0x002,
  RST: 0x004,
  PSH: 0x008,
  ACK: 0x010,
  URG: 0x020,
  ECE: 0x040,
  CWR: 0x080,
  NS: 0x100,
} as const;

/** `enum packet_event_flag`. */
export const EventFlag = { TCP_TIMESTAMP: 0x01, ETHERNET: 0x02, FRAGMENT: 0x04, CLOSED: 0x08 } as const;

/** IANA protocol numbers that the agent gives a name to. */
export const IpProtocol = { ICMP: 1, IGMP: 2, TCP: 6, UDP: 17, ICMPV6: 58, VRRP: 112, SCTP: 132 } as const;
