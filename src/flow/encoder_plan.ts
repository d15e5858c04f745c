import { create, fromBinary, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import { EndpointSchema, FlowSchema, FlowType, ServiceSchema, Verdict } from "../../proto/gen/flow/flow_pb.ts";
import type { Identity } from "../identity/identity.ts";
import { stringField } from "./bytes.ts";
import { AnyPart, type ExtensionTemplate, makeTemplate } from "./extension.ts";
import { applyFieldMask, type FieldMask, type MaskTree } from "./field_mask.ts";
import { ReplyState } from "./record.ts";
import { DENSE_SUMMARIES, summaryText } from "./summary.ts";
import { EVENT_TYPE_TRACE, TRACE_POINT, TRACE_SUB_TYPE } from "./trace.ts";
import type { RecordContext } from "./view.ts";

/**
 * What the encoder writes under one field mask: switches for what differs from packet to packet, and caches of finished
 * bytes for what does not. A mask costs nothing per flow: it is applied when a switch is set or a cache is filled.
 */

/** The field is wanted. */
export const WANTED = 1 << 15;
/** The mask goes into the message, which is therefore present also when the flow has none. */
export const FORCED = 1 << 14;

/** Switches of one message: {@link WANTED}, {@link FORCED}, and bit i for its i-th name. 0: not wanted. */
type Switches = number;

function switches(tree: MaskTree | null, field: string, names: readonly string[]): Switches {
  if (tree === null) return WANTED | ((1 << names.length) - 1);
  const part = tree.get(field);
  if (part === undefined) return 0;
  if (part === null) return switches(null, field, names);
  return names.reduce((bits, name, i) => part.has(name) ? bits | (1 << i) : bits, WANTED | FORCED);
}

/** The part of a mask inside a field; an empty one when the field is not wanted. */
function inside(tree: MaskTree | null, field: string): MaskTree | null {
  if (tree === null) return null;
  const part = tree.get(field);
  return part === undefined ? new Map() : part;
}

const PORTS = ["source_port", "destination_port"];
const TYPE_AND_CODE = ["type", "code"];
const FLAGS = ["FIN", "SYN", "RST", "PSH", "ACK", "URG", "ECE", "CWR", "NS"];
/** Fields that are not in {@link EncoderPlan.constants}. */
const VARYING = new Set(["time", "uuid", "ethernet", "IP", "l4", "extensions", "Summary"]);
const SOURCE = new Set(["source", "source_names", "source_service"]);
const DESTINATION = new Set(["destination", "destination_names", "destination_service"]);

/** Finished bytes for one end of a flow. */
interface Ends {
  readonly identity: Identity;
  readonly source: Uint8Array;
  readonly destination: Uint8Array;
}

/** Finished bytes for one interface, by the key of {@link EncoderPlan.constants}. */
interface Constants {
  readonly ifindex: number;
  readonly name: string;
  readonly byKey: (Uint8Array | undefined)[];
}

export class EncoderPlan {
  readonly time: Switches;
  readonly uuid: boolean;
  readonly ethernet: Switches;
  readonly ip: Switches;
  readonly l4: Switches;
  readonly tcp: Switches;
  /** Bit i stands for TCP flag 1 << i. */
  readonly tcpFlags: Switches;
  readonly udp: Switches;
  readonly sctp: Switches;
  readonly icmpv4: Switches;
  readonly icmpv6: Switches;
  readonly extensions: Switches;
  /** GetFlowsResponse.node_name: Hubble copies it from the masked flow. */
  readonly responseNodeName: Uint8Array;
  readonly #context: RecordContext;
  readonly #tree: MaskTree | null;
  readonly #ends: (Ends | undefined)[] = [];
  readonly #constants: (Constants | undefined)[] = [];
  readonly #summaries: (Uint8Array | undefined)[] = new Array(DENSE_SUMMARIES).fill(undefined);
  readonly #rareSummaries = new Map<number, Uint8Array>();
  readonly #templates: (ExtensionTemplate | undefined)[] = new Array(64).fill(undefined);
  readonly #rareTemplates = new Map<number, ExtensionTemplate>();

  constructor(context: RecordContext, mask: FieldMask | undefined) {
    const tree = mask === undefined ? null : mask.tree;
    const l4 = inside(tree, "l4");
    this.#context = context;
    this.#tree = tree;
    this.time = switches(tree, "time", ["seconds", "nanos"]);
    this.uuid = tree === null || tree.has("uuid");
    this.ethernet = switches(tree, "ethernet", ["source", "destination"]);
    this.ip = switches(tree, "IP", ["source", "destination", "ipVersion"]);
    this.l4 = switches(tree, "l4", []);
    this.tcp = switches(l4, "TCP", PORTS);
    this.tcpFlags = switches(inside(l4, "TCP"), "flags", FLAGS);
    this.udp = switches(l4, "UDP", PORTS);
    this.sctp = switches(l4, "SCTP", PORTS);
    this.icmpv4 = switches(l4, "ICMPv4", TYPE_AND_CODE);
    this.icmpv6 = switches(l4, "ICMPv6", TYPE_AND_CODE);
    this.extensions = switches(tree, "extensions", ["type_url", "value"]);
    this.responseNodeName = stringField(1000, tree === null || tree.has("node_name") ? context.nodeName : "");
  }

  /** Endpoint, names and service of an identity as the source of a flow. */
  source(index: number, identity: Identity): Uint8Array {
    return this.#end(index, identity).source;
  }

  /** Endpoint, names and service of an identity as the destination of a flow. */
  destination(index: number, identity: Identity): Uint8Array {
    return this.#end(index, identity).destination;
  }

  /**
   * The fields that depend on nothing but where a packet was seen and what conntrack says, and those that never change.
   *
   * @param number the interface's in the interface table
   * @param ifindex the interface's in the kernel; another one for the same number is no mistake, only slow
   * @param key eight bits: observation point, traffic direction, reply state and trace reason, two bits each
   */
  constants(number: number, ifindex: number, key: number): Uint8Array {
    const name = this.#context.interfaceName(number);
    let known = this.#constants[number];
    if (known === undefined || known.ifindex !== ifindex || known.name !== name) {
      known = this.#constants[number] = { ifindex, name, byKey: new Array(256).fill(undefined) };
    }
    return known.byKey[key] ?? (known.byKey[key] = this.#makeConstants(ifindex, name, key));
  }

  /** Flow.Summary by {@link summaryKey}. */
  summary(key: number): Uint8Array {
    const dense = key < DENSE_SUMMARIES;
    const known = dense ? this.#summaries[key] : this.#rareSummaries.get(key);
    if (known !== undefined) return known;
    const made = this.#encode({ Summary: summaryText(key) }, (field) => field === "Summary");
    if (dense) this.#summaries[key] = made;
    else this.#rareSummaries.set(key, made);
    return made;
  }

  /** Flow.extensions by {@link shapeOf}. */
  template(shape: number): ExtensionTemplate {
    const dense = shape < 64;
    const known = dense ? this.#templates[shape] : this.#rareTemplates.get(shape);
    if (known !== undefined) return known;
    const made = makeTemplate(shape, this.extensions & (AnyPart.TYPE_URL | AnyPart.VALUE));
    if (dense) this.#templates[shape] = made;
    else this.#rareTemplates.set(shape, made);
    return made;
  }

  /** An index is used again for another identity, so what was kept is checked against it. */
  #end(index: number, identity: Identity): Ends {
    const known = this.#ends[index];
    if (known !== undefined && known.identity === identity) return known;
    const names = [...identity.names];
    const endpoint = fromBinary(EndpointSchema, identity.endpointBytes);
    const service = identity.serviceBytes.length === 0 ? undefined : fromBinary(ServiceSchema, identity.serviceBytes);
    const made: Ends = {
      identity,
      source: this.#encode(
        { source: endpoint, sourceNames: names, ...(service && { sourceService: service }) },
        (field) => SOURCE.has(field),
      ),
      destination: this.#encode(
        { destination: endpoint, destinationNames: names, ...(service && { destinationService: service }) },
        (field) => DESTINATION.has(field),
      ),
    };
    return this.#ends[index] = made;
  }

  #makeConstants(ifindex: number, interfaceName: string, key: number): Uint8Array {
    const point = key >>> 6, direction = (key >>> 4) & 3, reply = (key >>> 2) & 3, traceReason = key & 3;
    const known = reply === ReplyState.NO || reply === ReplyState.YES;
    return this.#encode({
      verdict: Verdict.FORWARDED,
      Type: FlowType.L3_L4,
      nodeName: this.#context.nodeName,
      eventType: { type: EVENT_TYPE_TRACE, subType: TRACE_SUB_TYPE[point] },
      traceObservationPoint: TRACE_POINT[point],
      traceReason,
      trafficDirection: direction <= 2 ? direction : 0,
      ...(known && { isReply: reply === ReplyState.YES }),
      interface: { index: ifindex, name: interfaceName },
      emitter: { ...this.#context.emitter },
    }, (field) => !VARYING.has(field) && !SOURCE.has(field) && !DESTINATION.has(field));
  }

  /** Some fields of a flow in wire format, under the part of the mask that is about fields of this kind. */
  #encode(fields: MessageInitShape<typeof FlowSchema>, belongs: (field: string) => boolean): Uint8Array {
    const flow = create(FlowSchema, fields);
    if (this.#tree === null) return toBinary(FlowSchema, flow);
    const tree = new Map([...this.#tree].filter(([field]) => belongs(field)));
    return toBinary(FlowSchema, applyFieldMask({ tree, key: "" }, flow));
  }
}
