import { toBinary } from "@bufbuild/protobuf";
import { type GetFlowsResponse, GetFlowsResponseSchema } from "../../proto/gen/observer/observer_pb.ts";
import { varintSize, writeBytes, writeVarint } from "./bytes.ts";
import { FLOW_HEADER, MAX_PARTS, writeEthernet, writeIp, writeL4, writeTimes } from "./encoder_parts.ts";
import { EncoderPlan } from "./encoder_plan.ts";
import { fillExtension, shapeOf } from "./extension.ts";
import type { FieldMask } from "./field_mask.ts";
import { EVENT, SLOT, SlotKind } from "./record.ts";
import { summaryKey } from "./summary.ts";
import { toResponse } from "./to_flow.ts";
import { traceReason } from "./trace.ts";
import { saltWords, UUID_TEXT, writeUuid } from "./uuid.ts";
import type { FlowView, RecordContext } from "./view.ts";

/** gRPC's length-prefixed message: a byte for compression, four for the length, big-endian. */
const PREFIX = 5;
const FLOW = 0x0a;
/** Tag of Flow.uuid as it stands in memory, low byte first. */
const UUID = 0x0292;
/** Masks whose plans are kept; clients come with few different ones. */
const MAX_PLANS = 8;

/**
 * Encodes flows as gRPC-framed `observer.GetFlowsResponse` messages, straight into a send buffer.
 *
 * A record is never turned into an object: text is written as bytes, and whatever many flows share (endpoints, summary,
 * node name, the layout of the extension) is copied from caches. One encoder serves all streams of an agent.
 */
export class FlowEncoder {
  readonly #context: RecordContext;
  readonly #salt: Uint32Array;
  readonly #everything: EncoderPlan;
  readonly #plans = new Map<string, EncoderPlan>();
  #mask: FieldMask | undefined;
  #plan: EncoderPlan;
  #out: Uint8Array = new Uint8Array(0);
  #data: DataView = new DataView(this.#out.buffer);

  constructor(context: RecordContext) {
    this.#context = context;
    this.#salt = saltWords(context.uuidSalt);
    this.#everything = this.#plan = new EncoderPlan(context, undefined);
  }

  /**
   * Writes the frame of the flow (or lost event) that `view` points at. Returns the position behind it, or −1 when the
   * buffer may be too small: try again with an empty one, and with a larger one after that. A lost event is written
   * whole whatever the mask.
   */
  encodeFrame(view: FlowView, out: Uint8Array, at: number, mask?: FieldMask): number {
    if (view.kind === SlotKind.LOST) return this.encodeResponse(toResponse(view), out, at);
    if (mask !== this.#mask) this.#use(mask);
    if (view.kind === SlotKind.MESSAGE) return this.#encodeMessage(view, out, at, mask);
    if (out !== this.#out) {
      this.#out = out;
      this.#data = new DataView(out.buffer, out.byteOffset, out.byteLength);
    }
    return this.#encodeRecord(view, out, at, this.#plan);
  }

  /** Writes any response as a frame, as {@link encodeFrame} does. */
  encodeResponse(response: GetFlowsResponse, out: Uint8Array, at: number): number {
    return writeMessage(out, at, toBinary(GetFlowsResponseSchema, response));
  }

  /** A replayed flow is read by many, and the library takes its time: what it made is kept. */
  #encodeMessage(view: FlowView, out: Uint8Array, at: number, mask: FieldMask | undefined): number {
    const flow = view.message(), slot = view.position & view.store.mask;
    let bytes = this.#plan.message(slot, flow);
    if (bytes === undefined) {
      bytes = toBinary(GetFlowsResponseSchema, toResponse(view, mask));
      this.#plan.keepMessage(slot, flow, bytes);
    }
    return writeMessage(out, at, bytes);
  }

  #use(mask: FieldMask | undefined): void {
    this.#mask = mask;
    if (mask === undefined) {
      this.#plan = this.#everything;
      return;
    }
    let plan = this.#plans.get(mask.key);
    if (plan === undefined) {
      const [oldest] = this.#plans.keys();
      if (this.#plans.size === MAX_PLANS) this.#plans.delete(oldest);
      this.#plans.set(mask.key, plan = new EncoderPlan(this.#context, mask));
    }
    this.#plan = plan;
  }

  #encodeRecord(view: FlowView, out: Uint8Array, at: number, plan: EncoderPlan): number {
    const { u8, u16, u32, at: from } = view;
    const word = from >>> 2, data = this.#data;
    const source = plan.source(u32[word + SLOT.source_identity / 4], view.sourceIdentity());
    const destination = plan.destination(u32[word + SLOT.destination_identity / 4], view.destinationIdentity());
    const shape = plan.extensions === 0 ? 0 : shapeOf(u8, u16, u32, from);
    const state = ((u8[from + EVENT.observation_point] & 3) << 6) | ((u8[from + EVENT.traffic_direction] & 3) << 4) |
      ((u8[from + EVENT.is_reply] & 3) << 2) | traceReason(u8, u16, u32, from);
    const tail = plan.tail(shape, state, summaryKey(u8, u16, from));
    if (out.length - at < MAX_PARTS + source.length + destination.length + tail.bytes.length) return -1;

    // GetFlowsResponse.time comes first and not last, because here the same numbers are at hand for both times.
    let start = at + PREFIX + FLOW_HEADER, end = start;
    if (plan.time !== 0) {
      end = writeTimes(out, data, at + PREFIX, plan.time, u32, from);
      // Both are messages of one length; the first has a longer tag.
      start += (end - start + 1) >>> 1;
    }
    if (plan.ethernet !== 0) end = writeEthernet(out, data, end, plan.ethernet, u8, from);
    if (plan.ip !== 0) end = writeIp(out, data, end, plan.ip, u8, from);
    if (plan.l4 !== 0) end = writeL4(out, data, end, plan, u8, u16, from);
    end = writeBytes(out, end, source);
    end = writeBytes(out, end, destination);
    if (plan.interfaces) {
      end = writeBytes(
        out,
        end,
        plan.interface(u16[(from + SLOT.interface_index) >>> 1], u32[word + EVENT.ifindex / 4]),
      );
    }
    if (plan.uuid) {
      out[end] = UUID & 255;
      out[end + 1] = UUID >>> 8;
      out[end + 2] = UUID_TEXT;
      end = writeUuid(data, end + 3, this.#salt, view.position);
    }
    out.set(tail.bytes, end);
    fillExtension(data, end, tail.holes, shape, u8, u32, from);
    const length = end + tail.flowLength - start;
    end += tail.bytes.length;
    return writePrefix(out, at, writeFlowHeader(out, start, length, end));
  }
}

/**
 * Puts tag and length before the flow at `start`, which three bytes were left for; moves everything up to `end` if they
 * need another number of bytes. Returns where the end is now.
 */
function writeFlowHeader(out: Uint8Array, start: number, length: number, end: number): number {
  const shift = varintSize(length) - 2;
  if (shift !== 0) out.copyWithin(start + shift, start, end);
  const header = start - FLOW_HEADER;
  out[header] = FLOW;
  writeVarint(out, header + 1, length);
  return end + shift;
}

/** Writes a message with its prefix. Returns −1 when it does not fit. */
function writeMessage(out: Uint8Array, at: number, bytes: Uint8Array): number {
  const end = at + PREFIX + bytes.length;
  if (end > out.length) return -1;
  out.set(bytes, at + PREFIX);
  return writePrefix(out, at, end);
}

/** Writes the prefix of the message that ends at `end`. Returns `end`. */
function writePrefix(out: Uint8Array, at: number, end: number): number {
  const length = end - at - PREFIX;
  out[at] = 0;
  out[at + 1] = length >>> 24;
  out[at + 2] = length >>> 16;
  out[at + 3] = length >>> 8;
  out[at + 4] = length;
  return end;
}
