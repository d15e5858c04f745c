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

/** The first usable address of a CIDR: where many network plugins put the node's gateway for its pods. */
export function gatewayOf(cidr: Prefix): string | undefined {
  if (cidr.length >= (cidr.family === 4 ? 31 : 127)) return undefined;
  const bytes = cidr.bytes.slice();
  bytes[15] |= 1;
  return formatPrefix({ family: cidr.family, length: cidr.family === 4 ? 32 : 128, bytes });
}

function isUnspecified(prefix: Prefix): boolean {
  return prefix.bytes.every((byte, i) => byte === 0 || (prefix.family === 4 && i < 12));
}
