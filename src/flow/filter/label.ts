import { type AddressRange, parseRange, rangeCovers } from "./address.ts";

/** A label of a flow, or the key that a selector asks for, split into its parts. */
export interface Label {
  /** `k8s`, `reserved`, `cidr`…; `unspec` when the text names none. */
  readonly source: string;
  readonly key: string;
  readonly value: string;
  /** What a label of source `cidr` covers; undefined when its key is no CIDR. */
  readonly range: AddressRange | undefined;
}

/** A CIDR as a label key writes it: with `-` for `:`, which keys may not hold. */
function rangeOf(source: string, key: string): AddressRange | undefined {
  if (source !== "cidr") return undefined;
  const range = parseRange(key.replaceAll("-", ":"));
  return typeof range === "string" ? undefined : range;
}

function splitSource(text: string): [source: string, rest: string] {
  if (text.startsWith("$")) return ["reserved", text.slice(1)];
  const colon = text.indexOf(":");
  if (colon >= 0) return [text.slice(0, colon), text.slice(colon + 1)];
  return text.startsWith("reserved.") ? ["reserved", text.slice(9)] : ["", text];
}

/** Reads a flow's label: `source:key=value`, with the short forms `$key` and `reserved.key`. */
export function parseLabel(text: string): Label {
  const [named, rest] = splitSource(text);
  const source = named === "" ? "unspec" : named;
  const equals = rest.indexOf("=");
  let key = rest, value = "";
  if (equals === 0 && named === "reserved") key = rest.slice(1);
  else if (equals >= 0) {
    key = rest.slice(0, equals);
    value = rest.slice(equals + 1);
  }
  return { source, key, value, range: rangeOf(source, key) };
}

/** Reads a selector's key, `source.key`, for {@link hasKey}. A source that is said to be unspecified is any. */
export function parseSelectorKey(text: string): Label {
  const dot = text.indexOf("."), named = text.slice(0, dot), key = text.slice(dot + 1);
  const source = named === "unspec" ? "any" : named;
  return { source, key, value: "", range: rangeOf(source, key) };
}

/**
 * Whether a label has the key that is asked for: of the same source, unless any will do. A CIDR asked for is had by the
 * labels of the CIDRs inside it.
 */
export function hasKey(label: Label, asked: Label): boolean {
  if (asked.source !== "any" && asked.source !== label.source) return false;
  if (asked.source !== "cidr") return asked.key === label.key;
  return asked.range !== undefined && label.range !== undefined && rangeCovers(asked.range, label.range);
}

/** Reads the labels of one endpoint in the order in which a selector looks at them: by key. */
export function parseLabels(texts: readonly string[]): Label[] {
  return texts.map(parseLabel).sort((a, b) => a.key < b.key ? -1 : a.key > b.key ? 1 : 0);
}
