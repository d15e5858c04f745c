/** Events as plain objects, so that a test can compare every field at once. */
import { ETHERNET_SIZE, EVENT, EVENT_SIZE } from "../../src/flow/record.ts";
import { formatAddress } from "../../src/identity/address.ts";

/** All fields of `struct packet_event` under their names, and the Ethernet tail. */
export interface Event {
  readonly ts_ns: bigint;
  readonly src_addr: string;
  readonly dst_addr: string;
  readonly bytes: number;
  readonly ifindex: number;
  readonly src_port: number;
  readonly dst_port: number;
  readonly tcp_flags: number;
  readonly vlan_id: number;
  readonly protocol: number;
  readonly ip_version: number;
  readonly observation_point: number;
  readonly traffic_direction: number;
  readonly is_reply: number;
  readonly icmp_type: number;
  readonly icmp_code: number;
  readonly event_flags: number;
  readonly tcp_seq: number;
  readonly tcp_ack: number;
  readonly tcp_tsval: number;
  readonly tcp_tsecr: number;
  readonly total_bytes_tx: bigint;
  readonly total_bytes_rx: bigint;
  readonly total_packets_tx: number;
  readonly total_packets_rx: number;
  readonly held_packets: number;
  readonly held_bytes: number;
  readonly held_ack: number;
  readonly held_psh: number;
  readonly held_fin: number;
  readonly held_syn: number;
  readonly held_rst: number;
  readonly held_urg: number;
  readonly held_ece: number;
  readonly held_cwr: number;
  readonly held_ns: number;
  readonly reserved: number;
  /** `DESTINATION SOURCE`; undefined when the record ends with the event. */
  readonly ethernet: string | undefined;
}

/** Reads a record as it lies in the ring. @throws {RangeError} when it has neither of the two lengths. */
export function readEvent(u32: Uint32Array, at: number, length: number): Event {
  // A perf ring pads a record to a multiple of eight, less the four bytes of its length.
  const withTail = length >= EVENT_SIZE + ETHERNET_SIZE;
  const size = withTail ? EVENT_SIZE + ETHERNET_SIZE : EVENT_SIZE;
  if (length < size || length > size + 7) {
    throw new RangeError(
      `Cannot read a record of ${length} bytes: expected ${EVENT_SIZE} or ${EVENT_SIZE + ETHERNET_SIZE}`,
    );
  }
  const bytes = new Uint8Array(u32.buffer, u32.byteOffset + at, size).slice();
  const view = new DataView(bytes.buffer);
  const field = (name: keyof typeof EVENT, width: 1 | 2 | 4) => {
    const offset = EVENT[name];
    return width === 1
      ? view.getUint8(offset)
      : width === 2
      ? view.getUint16(offset, true)
      : view.getUint32(offset, true);
  };
  return {
    ts_ns: view.getBigUint64(EVENT.ts_ns, true),
    src_addr: formatAddress(bytes, EVENT.src_addr),
    dst_addr: formatAddress(bytes, EVENT.dst_addr),
    bytes: field("bytes", 4),
    ifindex: field("ifindex", 4),
    src_port: field("src_port", 2),
    dst_port: field("dst_port", 2),
    tcp_flags: field("tcp_flags", 2),
    vlan_id: field("vlan_id", 2),
    protocol: field("protocol", 1),
    ip_version: field("ip_version", 1),
    observation_point: field("observation_point", 1),
    traffic_direction: field("traffic_direction", 1),
    is_reply: field("is_reply", 1),
    icmp_type: field("icmp_type", 1),
    icmp_code: field("icmp_code", 1),
    event_flags: field("event_flags", 1),
    tcp_seq: field("tcp_seq", 4),
    tcp_ack: field("tcp_ack", 4),
    tcp_tsval: field("tcp_tsval", 4),
    tcp_tsecr: field("tcp_tsecr", 4),
    total_bytes_tx: view.getBigUint64(EVENT.total_bytes_tx, true),
    total_bytes_rx: view.getBigUint64(EVENT.total_bytes_rx, true),
    total_packets_tx: field("total_packets_tx", 4),
    total_packets_rx: field("total_packets_rx", 4),
    held_packets: field("held_packets", 4),
    held_bytes: field("held_bytes", 4),
    held_ack: field("held_ack", 4),
    held_psh: field("held_psh", 4),
    held_fin: field("held_fin", 1),
    held_syn: field("held_syn", 1),
    held_rst: field("held_rst", 1),
    held_urg: field("held_urg", 1),
    held_ece: field("held_ece", 1),
    held_cwr: field("held_cwr", 1),
    held_ns: field("held_ns", 1),
    reserved: field("reserved", 1),
    ethernet: withTail ? `${mac(bytes, EVENT_SIZE)} ${mac(bytes, EVENT_SIZE + 6)}` : undefined,
  };
}

function mac(bytes: Uint8Array, at: number): string {
  return Array.from(bytes.subarray(at, at + 6), (byte) => byte.toString(16).padStart(2, "0")).join(":");
}

/** The event of a first packet of nothing in particular: what a test does not name is expected to be this. */
export function expectedEvent(packet: Uint8Array, fields: Partial<Event>): Omit<Event, "ts_ns"> {
  return {
    src_addr: "10.0.0.1",
    dst_addr: "10.0.0.2",
    bytes: packet.length,
    ifindex: 1, // a test run takes the loopback device's number
    src_port: 0,
    dst_port: 0,
    tcp_flags: 0,
    vlan_id: 0,
    protocol: 17,
    ip_version: 4,
    observation_point: 0,
    traffic_direction: 2,
    is_reply: 0,
    icmp_type: 0,
    icmp_code: 0,
    event_flags: 2,
    tcp_seq: 0,
    tcp_ack: 0,
    tcp_tsval: 0,
    tcp_tsecr: 0,
    total_bytes_tx: BigInt(packet.length),
    total_bytes_rx: 0n,
    total_packets_tx: 1,
    total_packets_rx: 0,
    held_packets: 0,
    held_bytes: 0,
    held_ack: 0,
    held_psh: 0,
    held_fin: 0,
    held_syn: 0,
    held_rst: 0,
    held_urg: 0,
    held_ece: 0,
    held_cwr: 0,
    held_ns: 0,
    reserved: 0,
    ethernet: "02:00:00:00:00:02 02:00:00:00:00:01",
    ...fields,
  };
}

/** The event without its time, which no test can foretell. */
export function withoutTime(event: Event): Omit<Event, "ts_ns"> {
  const { ts_ns: _time, ...rest } = event;
  return rest;
}
