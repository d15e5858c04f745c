import { formatPrefix, parsePrefix, type Prefix } from "../../identity/address.ts";

/** Single addresses in canonical form, without repetition; what is no address is left out and reported. */
export function canonicalAddresses(texts: readonly string[], onBad: (text: string) => void): readonly string[] {
  const out: string[] = [];
  for (const text of texts) {
    const prefix = text === "" || text.includes("/") ? undefined : parsePrefix(text);
    if (prefix === undefined || isUnspecified(prefix)) {
      if (text !== "" && text !== "None") onBad(text);
      continue;
    }
    const canonical = formatPrefix(prefix);
    if (!out.includes(canonical)) out.push(canonical);
  }
  return out;
}

/** CIDRs in canonical form; those that cover everything or a single address say nothing about a node. */
export function canonicalCidrs(texts: readonly string[], onBad: (text: string) => void): readonly Prefix[] {
  const out: Prefix[] = [];
  for (const text of texts) {
    const prefix = text.includes("/") ? parsePrefix(text) : undefined;
    if (prefix === undefined || prefix.length === 0) onBad(text);
    else out.push(prefix);
  }
  return out;
}

/**
 * Addresses of a CIDR that network plugins give to the node itself: the first usable one to the bridge of the pods, the
 * network's own one to the tunnel (flannel).
 */
export function nodesOwn(cidr: Prefix): string[] {
  const single = cidr.family === 4 ? 32 : 128;
  if (cidr.length >= single - 1) return [];
  const first = cidr.bytes.slice();
  first[15] |= 1;
  return [cidr.bytes, first].map((bytes) => formatPrefix({ family: cidr.family, length: single, bytes }));
}

function isUnspecified(prefix: Prefix): boolean {
  return prefix.bytes.every((byte, i) => byte === 0 || (prefix.family === 4 && i < 12));
}
