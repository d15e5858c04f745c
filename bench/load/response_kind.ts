/** Numbers of the fields of GetFlowsResponse's oneof (observer.proto). */
const KINDS: Readonly<Record<number, ResponseKind>> = { 1: "flow", 2: "nodeStatus", 3: "lostEvents" };

export type ResponseKind = "flow" | "nodeStatus" | "lostEvents";

/**
 * What an encoded GetFlowsResponse holds, without decoding it: the fields before the oneof are skipped, whatever their
 * order. All of them are length-delimited. Undefined for a message that holds none of them.
 */
export function responseKind(message: Uint8Array): ResponseKind | undefined {
  let at = 0;
  const varint = () => {
    let value = 0;
    for (let shift = 0; at < message.length; shift += 7) {
      const byte = message[at++];
      value |= (byte & 0x7f) << shift;
      if (byte < 0x80) break;
    }
    return value;
  };
  while (at < message.length) {
    const kind = KINDS[varint() >>> 3];
    if (kind !== undefined) return kind;
    // A length is read before it is skipped: `at += varint()` would add to where the length begins.
    const length = varint();
    at += length;
  }
  return undefined;
}
