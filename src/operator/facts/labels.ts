import { isVolatile } from "../../identity/numeric.ts";
import { asObject, type Json, object } from "./json.ts";

/** Kubernetes allows a prefix of 253 and a name of 63 characters in a key, and 63 in a value. */
const MAX_KEY = 317;
const MAX_VALUE = 63;
/** Labels go into every flow of a pod: more than this many bytes of them are no names any more. */
const MAX_TOTAL = 8192;

/** An object's labels as sorted `key=value`, without volatile ones; what Kubernetes would not allow is left out and reported. */
export function labelsOf(from: Json, onBad: (text: string) => void): string[] {
  const labels = asObject(object(from, "metadata")["labels"]);
  if (labels === undefined) return [];
  const out: string[] = [];
  let total = 0;
  for (const key of Object.keys(labels).sort()) {
    if (isVolatile(key)) continue;
    const value = labels[key];
    const length = typeof value === "string" ? key.length + value.length + 1 : Infinity;
    if (typeof value !== "string" || key.length > MAX_KEY || value.length > MAX_VALUE || total + length > MAX_TOTAL) {
      onBad(key.slice(0, 80));
      continue;
    }
    total += length;
    out.push(`${key}=${value}`);
  }
  return out;
}
