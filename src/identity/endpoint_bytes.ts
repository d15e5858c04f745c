/**
 * `flow.Endpoint` and `flow.Service` in protobuf form: an identity is encoded once and pasted into every flow that it is
 * an end of. Field numbers are those of Hubble's `flow.proto`.
 */
import { ProtoWriter } from "./proto_writer.ts";

const writer = new ProtoWriter();

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
  writer.reset();
  writer.uint32(1, fields.numeric);
  writer.uint32(2, fields.numeric);
  writer.text(3, fields.namespace);
  for (const label of fields.labels) writer.string(4, label);
  writer.text(5, fields.pod);
  for (const workload of fields.workloads) {
    const mark = writer.open(6);
    writer.text(1, workload.name);
    writer.text(2, workload.kind);
    writer.close(mark);
  }
  writer.text(7, fields.cluster);
  return writer.take();
}

/** Encodes `flow.Service`. */
export function encodeService(name: string, namespace: string): Uint8Array {
  writer.reset();
  writer.text(1, name);
  writer.text(2, namespace);
  return writer.take();
}
