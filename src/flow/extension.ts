import { concat, lengthDelimited, stringField } from "./bytes.ts";
import { EVENT, EventFlag, IpProtocol, TcpFlag } from "./record.ts";

/**
 * What Flow.extensions adds to Hubble's fields: a google.protobuf.Struct of numbers. Keys stand in this order, and only
 * where they mean something:
 *
 * | key | when |
 * |---|---|
 * | `bytes` | always: length of the frame |
 * | `previously_observed_packets`, `previously_observed_bytes` | packets of this direction were held back since its last flow |
 * | `previously_observed_tcp_flags` | of those, how many had each flag: a Struct by flag name, no zeros |
 * | `total_packets_tx`, `total_bytes_tx`, `total_packets_rx`, `total_bytes_rx` | the connection is tracked |
 * | `tcp_seq`, and `tcp_ack` with ACK | TCP |
 * | `tcp_tsval`, `tcp_tsecr` | TCP with the timestamp option |
 * | `vlan_id` | the frame is tagged |
 *
 * All bytes but the numbers depend only on which keys there are: the {@link shapeOf} of a record. They are made once
 * for each shape; a flow costs one copy and some 64-bit stores.
 */
export const EXTENSION_TYPE_URL = "type.googleapis.com/google.protobuf.Struct";

/** Which parts of the Any a field mask leaves. */
export const AnyPart = { TYPE_URL: 1, VALUE: 2 } as const;

const HELD = 1, TOTALS = 2, TCP = 4, ACK = 8, TIMESTAMP = 16, VLAN = 32;
/** Bit of the first of {@link HELD_FLAGS} in a shape. */
const FLAGS_SHIFT = 6;

/** Held-back packets are counted by flag, in this order. */
const HELD_FLAGS = ["SYN", "ACK", "RST", "FIN", "PSH", "URG", "ECE", "CWR", "NS"] as const;
/** Where the count of each flag is; that of ACK and PSH is a u32, the others are bytes. */
const HELD_AT = Uint8Array.from(HELD_FLAGS, (flag) => EVENT[`held_${flag.toLowerCase() as Lowercase<typeof flag>}`]);
const ACK_FLAG = HELD_FLAGS.indexOf("ACK"), PSH_FLAG = HELD_FLAGS.indexOf("PSH");

/** Which keys the extension of the record at byte `at` has. */
export function shapeOf(u8: Uint8Array, u16: Uint16Array, u32: Uint32Array, at: number): number {
  const word = at >>> 2;
  let shape = 0;
  if (u32[word + EVENT.held_packets / 4] !== 0) {
    shape = HELD;
    for (let i = 0; i < HELD_FLAGS.length; i++) {
      const wide = i === ACK_FLAG || i === PSH_FLAG;
      const count = wide ? u32[(at + HELD_AT[i]) >>> 2] : u8[at + HELD_AT[i]];
      if (count !== 0) shape |= 1 << (FLAGS_SHIFT + i);
    }
  }
  // A tracked packet counts itself.
  if ((u32[word + EVENT.total_packets_tx / 4] | u32[word + EVENT.total_packets_rx / 4]) !== 0) shape |= TOTALS;
  const flags = u8[at + EVENT.event_flags];
  if (u8[at + EVENT.protocol] === IpProtocol.TCP && (flags & EventFlag.FRAGMENT) === 0) {
    shape |= TCP;
    if ((u16[(at + EVENT.tcp_flags) >>> 1] & TcpFlag.ACK) !== 0) shape |= ACK;
    if ((flags & EventFlag.TCP_TIMESTAMP) !== 0) shape |= TIMESTAMP;
  }
  if (u16[(at + EVENT.vlan_id) >>> 1] !== 0) shape |= VLAN;
  return shape;
}

/** Stands for a number in a template: no eight bytes of a short ASCII key or a length are all 255. */
const HOLE = new Uint8Array(8).fill(255);
const NUMBER_VALUE = 0x11, EXTENSIONS = 150_000;

/** One entry of Struct.fields; numbers are holes. */
function entry(key: string, value: Uint8Array): Uint8Array {
  return lengthDelimited(1, concat(stringField(1, key), lengthDelimited(2, value)));
}

function numbers(...keys: string[]): Uint8Array {
  return concat(...keys.map((key) => entry(key, concat(Uint8Array.of(NUMBER_VALUE), HOLE))));
}

function struct(shape: number): Uint8Array {
  const flags = HELD_FLAGS.filter((_, i) => shape & (1 << (FLAGS_SHIFT + i)));
  const parts = [numbers("bytes")];
  if (shape & HELD) parts.push(numbers("previously_observed_packets", "previously_observed_bytes"));
  if (flags.length > 0) parts.push(entry("previously_observed_tcp_flags", lengthDelimited(5, numbers(...flags))));
  if (shape & TOTALS) parts.push(numbers("total_packets_tx", "total_bytes_tx", "total_packets_rx", "total_bytes_rx"));
  if (shape & TCP) parts.push(numbers("tcp_seq"));
  if (shape & ACK) parts.push(numbers("tcp_ack"));
  if (shape & TIMESTAMP) parts.push(numbers("tcp_tsval", "tcp_tsecr"));
  if (shape & VLAN) parts.push(numbers("vlan_id"));
  return concat(...parts);
}

/** Flow's extensions field for a shape, with the wanted parts of the Any; {@link holesOf} says where its numbers go. */
export function makeTemplate(shape: number, parts: number): Uint8Array {
  const any = concat(
    parts & AnyPart.TYPE_URL ? stringField(1, EXTENSION_TYPE_URL) : new Uint8Array(0),
    parts & AnyPart.VALUE ? lengthDelimited(2, struct(shape)) : new Uint8Array(0),
  );
  return lengthDelimited(EXTENSIONS, any);
}

/** Where the numbers of a template go, in order. */
export function holesOf(bytes: Uint8Array): Uint16Array {
  const holes: number[] = [];
  for (let i = 0; i + 8 <= bytes.length;) {
    const hole = bytes.subarray(i, i + 8).every((byte) => byte === 255);
    if (hole) holes.push(i);
    i += hole ? 8 : 1;
  }
  return Uint16Array.from(holes);
}

/** Fills the numbers of the record at byte `at` into a template that was copied to `end`. */
export function fillExtension(
  data: DataView,
  end: number,
  holes: Uint16Array,
  shape: number,
  u8: Uint8Array,
  u32: Uint32Array,
  at: number,
): void {
  if (holes.length === 0) return;
  const word = at >>> 2;
  let i = 0;
  data.setFloat64(end + holes[i++], u32[word + EVENT.bytes / 4], true);
  if ((shape & HELD) !== 0) {
    data.setFloat64(end + holes[i++], u32[word + EVENT.held_packets / 4], true);
    data.setFloat64(end + holes[i++], u32[word + EVENT.held_bytes / 4], true);
    for (let flag = 0; flag < HELD_FLAGS.length; flag++) {
      if ((shape & (1 << (FLAGS_SHIFT + flag))) === 0) continue;
      const from = at + HELD_AT[flag];
      // Two stores, because a choice between the two arrays would box the number.
      if (flag === ACK_FLAG || flag === PSH_FLAG) data.setFloat64(end + holes[i++], u32[from >>> 2], true);
      else data.setFloat64(end + holes[i++], u8[from], true);
    }
  }
  if ((shape & TOTALS) !== 0) {
    data.setFloat64(end + holes[i++], u32[word + EVENT.total_packets_tx / 4], true);
    // Written out, because a function might box what it returns.
    const tx = word + EVENT.total_bytes_tx / 4, rx = word + EVENT.total_bytes_rx / 4;
    data.setFloat64(end + holes[i++], u32[tx + 1] * 0x100000000 + u32[tx], true);
    data.setFloat64(end + holes[i++], u32[word + EVENT.total_packets_rx / 4], true);
    data.setFloat64(end + holes[i++], u32[rx + 1] * 0x100000000 + u32[rx], true);
  }
  if ((shape & TCP) !== 0) {
    data.setFloat64(end + holes[i++], u32[word + EVENT.tcp_seq / 4], true);
    if ((shape & ACK) !== 0) data.setFloat64(end + holes[i++], u32[word + EVENT.tcp_ack / 4], true);
    if ((shape & TIMESTAMP) !== 0) {
      data.setFloat64(end + holes[i++], u32[word + EVENT.tcp_tsval / 4], true);
      data.setFloat64(end + holes[i++], u32[word + EVENT.tcp_tsecr / 4], true);
    }
  }
  if ((shape & VLAN) !== 0) {
    data.setFloat64(end + holes[i], u8[at + EVENT.vlan_id] | (u8[at + EVENT.vlan_id + 1] << 8), true);
  }
}
