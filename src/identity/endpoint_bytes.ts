/**
 * `flow.Endpoint` and `flow.Service` in protobuf form, written by hand: an identity is encoded once and pasted into
 * every flow that it is an end of, and a cluster has many identities. Field numbers are those of Hubble's `flow.proto`.
 */

const encoder = new TextEncoder();
let scratch = new Uint8Array(4096);
let end = 0;

function reserve(bytes: number): void {
  if (end + bytes <= scratch.length) return;
  const larger = new Uint8Array(2 * (end + bytes));
  larger.set(scratch.subarray(0, end));
  scratch = larger;
}

function varint(value: number): void {
  while (value > 127) {
    scratch[end++] = value & 127 | 128;
    value >>>= 7;
  }
  scratch[end++] = value;
}

/** A varint field, left out when zero as proto3 does. */
function number(field: number, value: number): void {
  if (value === 0) return;
  reserve(10);
  scratch[end++] = field << 3;
  varint(value);
}

function string(field: number, value: string): void {
  // A UTF-16 unit is at most three bytes of UTF-8.
  reserve(11 + 3 * value.length);
  scratch[end++] = field << 3 | 2;
  const bytes = value.length < 43 ? encoder.encodeInto(value, scratch.subarray(end + 1)).written : -1;
  if (bytes >= 0) {
    scratch[end] = bytes;
    end += 1 + bytes;
    return;
  }
  const encoded = encoder.encode(value);
  varint(encoded.length);
  scratch.set(encoded, end);
  end += encoded.length;
}

/** A string field, left out when empty. */
function text(field: number, value: string): void {
  if (value !== "") string(field, value);
}

function message(field: number, write: () => void): void {
  reserve(6);
  scratch[end++] = field << 3 | 2;
  const at = end;
  write();
  const body = scratch.slice(at, end);
  end = at;
  reserve(5 + body.length);
  varint(body.length);
  scratch.set(body, end);
  end += body.length;
}

/** What goes into `flow.Endpoint`. */
export interface EndpointFields {
  readonly numeric: number;
  readonly namespace: string;
  readonly labels: readonly string[];
  readonly pod: string;
  readonly workloads: readonly { readonly name: string; readonly kind: string }[];
  readonly cluster: string;
}

/** Encodes `flow.Endpoint`; ID and identity are both the numeric identity. */
export function encodeEndpoint(fields: EndpointFields): Uint8Array {
  end = 0;
  number(1, fields.numeric);
  number(2, fields.numeric);
  text(3, fields.namespace);
  for (const label of fields.labels) string(4, label);
  text(5, fields.pod);
  for (const workload of fields.workloads) {
    message(6, () => {
      text(1, workload.name);
      text(2, workload.kind);
    });
  }
  text(7, fields.cluster);
  return scratch.slice(0, end);
}

/** Encodes `flow.Service`. */
export function encodeService(name: string, namespace: string): Uint8Array {
  end = 0;
  text(1, name);
  text(2, namespace);
  return scratch.slice(0, end);
}
