import fc from "fast-check";
import type { Identity } from "../identity/identity.ts";
import { makeIdentity } from "../identity/make.ts";
import { IdentityTable } from "../identity/table.ts";
import { InterfaceTable } from "./interfaces.ts";
import { ETHERNET_SIZE, EVENT, EVENT_SIZE, EventFlag, IpProtocol } from "./record.ts";
import { FlowStore } from "./store.ts";
import { FlowView, type RecordContext } from "./view.ts";

/** Records for tests and benches: what the kernel would have written. */

/** Fields of an event by name; what is left out is zero. Addresses are 16 bytes. */
export type EventFields = Partial<Record<Exclude<keyof typeof EVENT, "src_addr" | "dst_addr">, number | bigint>> & {
  src_addr?: readonly number[];
  dst_addr?: readonly number[];
  /** Destination, then source; sets EVENT_ETHERNET. */
  ethernet?: readonly number[];
};

const WIDTHS: Partial<Record<keyof typeof EVENT, 2 | 4 | 8>> = {
  ts_ns: 8,
  bytes: 4,
  ifindex: 4,
  src_port: 2,
  dst_port: 2,
  tcp_flags: 2,
  vlan_id: 2,
  tcp_seq: 4,
  tcp_ack: 4,
  tcp_tsval: 4,
  tcp_tsecr: 4,
  total_bytes_tx: 8,
  total_bytes_rx: 8,
  total_packets_tx: 4,
  total_packets_rx: 4,
  held_packets: 4,
  held_bytes: 4,
  held_ack: 4,
  held_psh: 4,
};

/** An IPv4 address as an event holds it. */
export function v4(a: number, b: number, c: number, d: number): number[] {
  return [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 255, 255, a, b, c, d];
}

/** Words of an event, with its tail when it has Ethernet addresses. */
export function event(fields: EventFields): Uint32Array {
  const { src_addr, dst_addr, ethernet, ...numbers } = fields;
  const words = new Uint32Array((EVENT_SIZE + (ethernet ? ETHERNET_SIZE : 0)) / 4);
  const data = new DataView(words.buffer), u8 = new Uint8Array(words.buffer);
  u8.set(src_addr ?? v4(10, 0, 0, 1), EVENT.src_addr);
  u8.set(dst_addr ?? v4(10, 0, 0, 2), EVENT.dst_addr);
  for (const [name, value] of Object.entries(numbers) as [keyof typeof EVENT, number | bigint][]) {
    const width = WIDTHS[name] ?? 1, at = EVENT[name];
    if (width === 8) data.setBigUint64(at, BigInt(value), true);
    else if (width === 4) data.setUint32(at, Number(value), true);
    else if (width === 2) data.setUint16(at, Number(value), true);
    else data.setUint8(at, Number(value));
  }
  if (ethernet) {
    u8.set(ethernet, EVENT_SIZE);
    u8[EVENT.event_flags] |= EventFlag.ETHERNET;
  }
  return words;
}

/** A store with everything around it. `push()` stores an event and returns a view on it. */
export interface Fixture {
  readonly identities: IdentityTable;
  readonly interfaces: InterfaceTable;
  readonly store: FlowStore;
  readonly context: RecordContext;
  readonly view: FlowView;
  push(words: Uint32Array, options?: { source?: Identity; destination?: Identity; wall?: [number, number] }): FlowView;
}

/** The wall offset of events pushed without one: 2025-11-22T00:00:00.5Z at boot. */
export const WALL: [number, number] = [1_763_769_600, 500_000_000];

export function fixture(options: { capacity?: number; nodeName?: string } = {}): Fixture {
  const identities = new IdentityTable();
  const interfaces = new InterfaceTable();
  const store = new FlowStore({ capacity: options.capacity ?? 16, identities });
  const context: RecordContext = {
    nodeName: options.nodeName ?? "node-1",
    uuidSalt: Uint8Array.from({ length: 16 }, (_, i) => 17 * i + 3),
    emitter: { name: "Retina", version: "0.1.0" },
    interfaceName: (index) => interfaces.name(index),
  };
  const view = new FlowView(store, context);
  return {
    identities,
    interfaces,
    store,
    context,
    view,
    push(words, { source, destination, wall = WALL } = {}) {
      const add = (identity: Identity | undefined) => identity ? identities.add(identity) : IdentityTable.WORLD;
      const from = add(source), to = add(destination);
      const interfaceIndex = interfaces.lookup(words[EVENT.ifindex / 4]);
      const position = store.pushRecord(words, 0, 4 * words.length, wall[0], wall[1], from, to, interfaceIndex);
      // As the cache would when the entry goes: from here on the slot alone holds them.
      if (source) identities.release(from);
      if (destination) identities.release(to);
      return view.moveTo(position);
    },
  };
}

const byte = fc.integer({ min: 0, max: 255 });
const u16 = fc.integer({ min: 0, max: 0xffff });
const u32 = fc.oneof(fc.constant(0), fc.integer({ min: 0, max: 0xffffffff }), fc.integer({ min: 0, max: 200 }));
const u64 = fc.oneof(u32.map(BigInt), fc.bigInt({ min: 0n, max: (1n << 64n) - 1n }));

/** Addresses with long and short zero runs, so that every form of RFC 5952 occurs. */
const v6Address = fc.array(
  fc.oneof({ weight: 3, arbitrary: fc.constant(0) }, { weight: 1, arbitrary: byte }, {
    weight: 1,
    arbitrary: fc.constant(255),
  }),
  { minLength: 16, maxLength: 16 },
);

/** Events as a kernel could write them, fields independent of one another. */
export const arbitraryEvent: fc.Arbitrary<EventFields> = fc.constantFrom(4, 6).chain((ip_version) => {
  const address = ip_version === 4 ? fc.tuple(byte, byte, byte, byte).map((octets) => v4(...octets)) : v6Address;
  return fc.record({
    ip_version: fc.constant(ip_version),
    src_addr: address,
    dst_addr: address,
    ts_ns: u64,
    bytes: u32,
    ifindex: fc.oneof(fc.integer({ min: 1, max: 4 }), u32),
    src_port: u16,
    dst_port: u16,
    tcp_flags: fc.integer({ min: 0, max: 511 }),
    vlan_id: fc.oneof(fc.constant(0), fc.integer({ min: 1, max: 4094 })),
    protocol: fc.oneof(fc.constantFrom(...Object.values(IpProtocol)), byte),
    observation_point: fc.integer({ min: 0, max: 3 }),
    traffic_direction: fc.integer({ min: 0, max: 2 }),
    is_reply: fc.integer({ min: 0, max: 2 }),
    icmp_type: byte,
    icmp_code: fc.oneof(fc.integer({ min: 0, max: 3 }), byte),
    event_flags: fc.constantFrom(0, EventFlag.TCP_TIMESTAMP, EventFlag.FRAGMENT, EventFlag.CLOSED),
    tcp_seq: u32,
    tcp_ack: u32,
    tcp_tsval: u32,
    tcp_tsecr: u32,
    total_bytes_tx: u64,
    total_bytes_rx: u64,
    total_packets_tx: fc.oneof(fc.constant(1), u32),
    total_packets_rx: u32,
    held_packets: u32,
    held_bytes: u32,
    held_ack: u32,
    held_psh: u32,
    held_fin: fc.oneof(fc.constant(0), byte),
    held_syn: fc.oneof(fc.constant(0), byte),
    held_rst: fc.oneof(fc.constant(0), byte),
    held_urg: fc.oneof(fc.constant(0), byte),
    held_ece: fc.oneof(fc.constant(0), byte),
    held_cwr: fc.oneof(fc.constant(0), byte),
    held_ns: fc.oneof(fc.constant(0), byte),
  }).chain((fields) =>
    fc.option(fc.array(byte, { minLength: 12, maxLength: 12 }), { nil: undefined })
      .map((ethernet) => ethernet === undefined ? fields : { ...fields, ethernet })
  );
});

const name = fc.string({ minLength: 1, maxLength: 20 });

/** Identities of every kind, with names that need UTF-8. */
export const arbitraryIdentity: fc.Arbitrary<Identity> = fc.record({
  numeric: fc.integer({ min: 0, max: 0xffffffff }),
  namespace: fc.oneof(fc.constant(""), name),
  pod: fc.oneof(fc.constant(""), name),
  service: fc.oneof(fc.constant(""), name),
  node: fc.oneof(fc.constant(""), name),
  cluster: fc.oneof(fc.constant(""), name),
  labels: fc.array(name, { maxLength: 12 }),
  workloads: fc.array(fc.record({ name, kind: name }), { maxLength: 2 }),
}).map(makeIdentity);
