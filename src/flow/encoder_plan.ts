import { create, fromBinary, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import {
  EndpointSchema,
  type Flow,
  FlowSchema,
  FlowType,
  ServiceSchema,
  Verdict,
} from "../../proto/gen/flow/flow_pb.ts";
import type { Identity } from "../identity/identity.ts";
import { concat, stringField } from "./bytes.ts";
import { AnyPart, holesOf, makeTemplate } from "./extension.ts";
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
const SOURCE = new Set(["source", "source_names", "source_service"]);
const DESTINATION = new Set(["destination", "destination_names", "destination_service"]);
/** Fields that are not in a {@link Tail}'s constant part. */
const ELSEWHERE = new Set([
  "time",
  "uuid",
  "ethernet",
  "IP",
  "l4",
  "interface",
  "extensions",
  ...SOURCE,
  ...DESTINATION,
]);

/** Shapes without held-back TCP flags are numbered below this, and dense. */
const DENSE_SHAPES = 64;
/** Kept tails and ends; about 2 and 8 MiB. Reached only by traffic made for it, and by clusters on one node. */
const MAX_TAILS = 4096, MAX_ENDS = 16_384;
/** Kept responses of replayed flows. */
const MAX_MESSAGE_BYTES = 48 * 1024 * 1024;

/**
 * Finished bytes that end a flow, whatever the packet's addresses: fields that depend on where it was seen and on what
 * conntrack says, those that never change, the summary, the extension with holes for its numbers, and behind the flow
 * GetFlowsResponse.node_name.
 */
export interface Tail {
  readonly bytes: Uint8Array;
  /** How many of the bytes belong to the flow. */
  readonly flowLength: number;
  readonly holes: Uint16Array;
}

/** Finished bytes for one end of a flow. */
interface Ends {
  readonly identity: Identity;
  readonly source: Uint8Array;
  readonly destination: Uint8Array;
}

/** Finished bytes for one interface. */
interface Interface {
  readonly ifindex: number;
  readonly name: string;
  readonly bytes: Uint8Array;
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
  /** Whether there is a Flow.interface. */
  readonly interfaces: boolean;
  readonly #context: RecordContext;
  readonly #tree: MaskTree | null;
  readonly #ends: (Ends | undefined)[] = [];
  readonly #interfaces: (Interface | undefined)[] = [];
  readonly #responseNodeName: Uint8Array;
  /** By shape × 256 + state, then by summary. */
  readonly #tails: ((Tail | undefined)[] | undefined)[] = new Array(DENSE_SHAPES * 256).fill(undefined);
  readonly #rareTails = new Map<number, Map<number, Tail>>();
  /** Responses of stored messages, by slot. */
  readonly #messages: { readonly flow: Flow; readonly bytes: Uint8Array }[] = [];
  #messageBytes = 0;
  /** How many tails and ends are kept. */
  #kept = 0;
  #keptEnds = 0;

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
    this.interfaces = tree === null || tree.has("interface");
    // Hubble copies it from the masked flow.
    this.#responseNodeName = stringField(1000, tree === null || tree.has("node_name") ? context.nodeName : "");
  }

  /** Endpoint, names and service of an identity as the source of a flow. */
  source(index: number, identity: Identity): Uint8Array {
    return this.#end(index, identity).source;
  }

  /** Endpoint, names and service of an identity as the destination of a flow. */
  destination(index: number, identity: Identity): Uint8Array {
    return this.#end(index, identity).destination;
  }

  /** Flow.interface. Another index of the kernel's for the same number of the interface table is no mistake, only slow. */
  interface(number: number, ifindex: number): Uint8Array {
    const name = this.#context.interfaceName(number);
    const known = this.#interfaces[number];
    if (known !== undefined && known.ifindex === ifindex && known.name === name) return known.bytes;
    const bytes = this.#encode({ interface: { index: ifindex, name } }, (field) => field === "interface");
    this.#interfaces[number] = { ifindex, name, bytes };
    return bytes;
  }

  /**
   * What a flow ends with. There are few different ones, unless somebody sends packets with flags at random.
   *
   * @param shape of the extension, see {@link shapeOf}
   * @param state eight bits: observation point, traffic direction, reply state and trace reason, two bits each
   * @param summary see {@link summaryKey}
   */
  tail(shape: number, state: number, summary: number): Tail {
    if (shape >= DENSE_SHAPES || summary >= DENSE_SUMMARIES) return this.#rareTail(shape, state, summary);
    const bySummary = this.#tails[(shape << 8) | state] ??= new Array(DENSE_SUMMARIES).fill(undefined);
    return bySummary[summary] ??= this.#makeTail(shape, state, summary);
  }

  /** Response of a stored message, if it is kept. */
  message(slot: number, flow: Flow): Uint8Array | undefined {
    const known = this.#messages[slot];
    return known !== undefined && known.flow === flow ? known.bytes : undefined;
  }

  /** Keeps the response of a stored message; not if it would crowd out many others. */
  keepMessage(slot: number, flow: Flow, bytes: Uint8Array): void {
    if (bytes.length > MAX_MESSAGE_BYTES / 64) return;
    this.#messageBytes += bytes.length;
    if (this.#messageBytes > MAX_MESSAGE_BYTES) {
      this.#messages.length = 0;
      this.#messageBytes = bytes.length;
    }
    this.#messages[slot] = { flow, bytes };
  }

  #rareTail(shape: number, state: number, summary: number): Tail {
    // Two maps, because one number for all three would be no small integer and be boxed.
    const key = (shape << 8) | state;
    const known = this.#rareTails.get(key)?.get(summary);
    if (known !== undefined) return known;
    const tail = this.#makeTail(shape, state, summary);
    let bySummary = this.#rareTails.get(key);
    if (bySummary === undefined) this.#rareTails.set(key, bySummary = new Map());
    bySummary.set(summary, tail);
    return tail;
  }

  /** An index is used again for another identity, so what was kept is checked against it. */
  #end(index: number, identity: Identity): Ends {
    const known = this.#ends[index];
    if (known !== undefined && known.identity === identity) return known;
    if (this.#keptEnds++ === MAX_ENDS) {
      this.#keptEnds = 1;
      this.#ends.length = 0;
    }
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

  #makeTail(shape: number, state: number, summary: number): Tail {
    if (this.#kept++ === MAX_TAILS) {
      this.#kept = 1;
      this.#tails.fill(undefined);
      this.#rareTails.clear();
    }
    const point = state >>> 6, direction = (state >>> 4) & 3, reply = (state >>> 2) & 3, traceReason = state & 3;
    const known = reply === ReplyState.NO || reply === ReplyState.YES;
    const constants = this.#encode({
      verdict: Verdict.FORWARDED,
      Type: FlowType.L3_L4,
      nodeName: this.#context.nodeName,
      eventType: { type: EVENT_TYPE_TRACE, subType: TRACE_SUB_TYPE[point] },
      traceObservationPoint: TRACE_POINT[point],
      traceReason,
      trafficDirection: direction <= 2 ? direction : 0,
      ...(known && { isReply: reply === ReplyState.YES }),
      emitter: { ...this.#context.emitter },
      Summary: summaryText(summary),
    }, (field) => !ELSEWHERE.has(field));
    const extension = makeTemplate(shape, this.extensions & (AnyPart.TYPE_URL | AnyPart.VALUE));
    const flow = concat(constants, extension);
    return { bytes: concat(flow, this.#responseNodeName), flowLength: flow.length, holes: holesOf(flow) };
  }

  /** Some fields of a flow in wire format, under the part of the mask that is about fields of this kind. */
  #encode(fields: MessageInitShape<typeof FlowSchema>, belongs: (field: string) => boolean): Uint8Array {
    const flow = create(FlowSchema, fields);
    if (this.#tree === null) return toBinary(FlowSchema, flow);
    const tree = new Map([...this.#tree].filter(([field]) => belongs(field)));
    return toBinary(FlowSchema, applyFieldMask({ tree, key: "" }, flow));
  }
}
