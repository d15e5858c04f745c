/** Random packets for the fuzz test, the same for the same seed. */
import { type Bytes, concat, ethernet, extension, ipv6, tcp } from "../packets.ts";

/** 32-bit generator (xorshift, Marsaglia 2003): repeatable and fast, nothing more. */
export type Random = (below: number) => number;

export function random(seed: number): Random {
  let state = seed >>> 0 || 1;
  return (below) => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) % below;
  };
}

/** Values that sit at the edges of what headers can say. */
const EDGES = [0, 1, 4, 5, 6, 8, 15, 17, 20, 40, 43, 44, 51, 58, 59, 60, 127, 128, 129, 132, 255, 0x45, 0x46, 0x60];

/** A packet that was changed in one of many ways, or one out of thin air. */
export function mutate(pool: readonly Bytes[], next: Random): Bytes {
  switch (next(8)) {
    case 0:
      return noise(next);
    case 1:
      return extensionSoup(next);
    case 2:
      return optionSoup(next);
    default: {
      let packet = pool[next(pool.length)].slice();
      for (let count = 1 + next(3); count > 0; count--) packet = change(packet, next);
      return packet;
    }
  }
}

function change(packet: Bytes, next: Random): Bytes {
  const at = next(packet.length);
  switch (next(6)) {
    case 0:
      packet[at] ^= 1 << next(8);
      return packet;
    case 1:
      packet[at] = EDGES[next(EDGES.length)];
      return packet;
    case 2:
      packet[at] = next(256);
      return packet;
    case 3:
      return packet.slice(0, Math.max(15, at));
    case 4: // bytes in the middle
      return concat(packet.subarray(0, at), bytes(1 + next(16), next), packet.subarray(at));
    default: // a VLAN tag
      return concat(packet.subarray(0, 12), Uint8Array.of(0x81, 0, next(256), next(256)), packet.subarray(12));
  }
}

function bytes(length: number, next: Random): Bytes {
  return Uint8Array.from({ length }, () => next(4) === 0 ? EDGES[next(EDGES.length)] : next(256));
}

/** Random bytes behind an Ethernet header that may be right. */
function noise(next: Random): Bytes {
  const types = [0x0800, 0x86dd, 0x8100, 0x88a8, next(65536)];
  return ethernet({ type: types[next(types.length)] }, bytes(1 + next(120), next));
}

/** Extension headers of any type and length in any order, right and wrong. */
function extensionSoup(next: Random): Bytes {
  const types = [0, 43, 44, 51, 60, 6, 17, 58, 59];
  let inner = bytes(next(40), next);
  let type = types[next(types.length)];
  for (let count = next(11); count > 0; count--) {
    inner = extension(type, inner, next(3));
    if (next(4) === 0) inner[1] = next(8);
    // Fragment headers: usually the first fragment.
    if (next(4) !== 0) inner.fill(0, 2, 4);
    type = types[next(5)];
  }
  return ethernet({}, ipv6({ nextHeader: type }, inner));
}

/** TCP options of any kind and length. */
function optionSoup(next: Random): Bytes {
  const options = new Uint8Array(4 * next(11));
  for (let at = 0; at < options.length;) {
    const kind = [0, 1, 1, 1, 2, 3, 4, 5, 8, 8, 8, next(256)][next(12)];
    const length = next(8) === 0 ? next(12) : kind === 8 ? 10 : 2 + next(4);
    options[at] = kind;
    if (kind > 1 && at + 1 < options.length) options[at + 1] = length;
    at += kind < 2 ? 1 : Math.max(2, length);
  }
  return ethernet(
    {},
    ipv6({ nextHeader: 6 }, tcp({ flags: next(512), seq: next(2 ** 32), ack: next(2 ** 32), options })),
  );
}
