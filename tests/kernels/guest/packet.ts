/** Events as plain objects, for comparing and for printing. */
import { EVENT, EVENT_SIZE } from "../../../src/flow/record.ts";
import { addressText } from "../../../src/flow/text.ts";

/** One event with the fields that the matrix compares. Names are those of `struct packet_event`. */
export interface Packet {
  /** Length of the record in bytes, the Ethernet tail included; a perf ring may add padding. */
  readonly recordLength: number;
  readonly nanos: bigint;
  readonly source: string;
  readonly destination: string;
  readonly sourcePort: number;
  readonly destinationPort: number;
  readonly bytes: number;
  readonly ifindex: number;
  readonly tcpFlags: number;
  readonly protocol: number;
  readonly ipVersion: number;
  readonly point: number;
  readonly direction: number;
  readonly isReply: number;
  readonly icmpType: number;
  readonly eventFlags: number;
  readonly totalPackets: { readonly tx: number; readonly rx: number };
  readonly totalBytes: { readonly tx: number; readonly rx: number };
  readonly held: {
    readonly packets: number;
    readonly bytes: number;
    readonly ack: number;
    readonly psh: number;
    readonly syn: number;
    readonly fin: number;
    readonly rst: number;
  };
}

/** Reads a record as the ring hands it over. @throws {RangeError} when it is shorter than an event. */
export function readPacket(words: Uint32Array, at: number, length: number): Packet {
  if (length < EVENT_SIZE) {
    throw new RangeError(`Cannot read a record of ${length} bytes: expected ${EVENT_SIZE} or more`);
  }
  const memory = new Uint8Array(words.buffer, words.byteOffset, words.byteLength);
  const view = new DataView(words.buffer, words.byteOffset + at, length);
  const u8 = (field: number) => view.getUint8(field);
  const u16 = (field: number) => view.getUint16(field, true);
  const u32 = (field: number) => view.getUint32(field, true);
  const u64 = (field: number) => Number(view.getBigUint64(field, true));
  const ipVersion = u8(EVENT.ip_version);
  return {
    recordLength: length,
    nanos: view.getBigUint64(EVENT.ts_ns, true),
    source: addressText(memory, at + EVENT.src_addr, ipVersion),
    destination: addressText(memory, at + EVENT.dst_addr, ipVersion),
    sourcePort: u16(EVENT.src_port),
    destinationPort: u16(EVENT.dst_port),
    bytes: u32(EVENT.bytes),
    ifindex: u32(EVENT.ifindex),
    tcpFlags: u16(EVENT.tcp_flags),
    protocol: u8(EVENT.protocol),
    ipVersion,
    point: u8(EVENT.observation_point),
    direction: u8(EVENT.traffic_direction),
    isReply: u8(EVENT.is_reply),
    icmpType: u8(EVENT.icmp_type),
    eventFlags: u8(EVENT.event_flags),
    totalPackets: { tx: u32(EVENT.total_packets_tx), rx: u32(EVENT.total_packets_rx) },
    totalBytes: { tx: u64(EVENT.total_bytes_tx), rx: u64(EVENT.total_bytes_rx) },
    held: {
      packets: u32(EVENT.held_packets),
      bytes: u32(EVENT.held_bytes),
      ack: u32(EVENT.held_ack),
      psh: u32(EVENT.held_psh),
      syn: u8(EVENT.held_syn),
      fin: u8(EVENT.held_fin),
      rst: u8(EVENT.held_rst),
    },
  };
}
