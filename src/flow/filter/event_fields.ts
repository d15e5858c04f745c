import { type CiliumEventType, type Flow, type FlowFilter, Verdict } from "../../../proto/gen/flow/flow_pb.ts";
import { EVENT, ReplyState } from "../record.ts";
import { EVENT_TYPE_TRACE, TRACE_SUB_TYPE } from "../trace.ts";
import type { Predicate } from "./predicate.ts";

/** The verdict of every record: what the kernel dropped is not reported as one. */
const RECORD_VERDICT = Verdict.FORWARDED;

/** uuid: whole texts. */
export function compileUuids(filter: FlowFilter): Predicate[] {
  if (filter.uuid.length === 0) return [];
  const set = new Set(filter.uuid);
  return [{ flow: (flow) => set.has(flow.uuid), record: (view) => set.has(view.uuid()) }];
}

/** event_type: type 0 is any; the sub type counts only with match_sub_type. */
export function compileEventTypes(filter: FlowFilter): Predicate[] {
  const types = filter.eventType;
  if (types.length === 0) return [];
  const test = (event: Pick<CiliumEventType, "type" | "subType">) =>
    types.some((wanted) =>
      (wanted.type === 0 || wanted.type === event.type) && (!wanted.matchSubType || wanted.subType === event.subType)
    );
  // A record's event type follows from its observation point: there are few answers.
  const answers = TRACE_SUB_TYPE.map((subType) => test({ type: EVENT_TYPE_TRACE, subType }));
  return [{
    flow: (flow) => flow.eventType !== undefined && test(flow.eventType),
    record: (view) => answers[view.u8[view.at + EVENT.observation_point] & 3],
  }];
}

/** verdict. */
export function compileVerdicts(filter: FlowFilter): Predicate[] {
  if (filter.verdict.length === 0) return [];
  const set = new Set(filter.verdict);
  return [{ flow: (flow) => set.has(flow.verdict), record: set.has(RECORD_VERDICT) }];
}

/** drop_reason_desc: only what was dropped has a reason, so reason 0 of other flows does not match. */
export function compileDropReasons(filter: FlowFilter): Predicate[] {
  if (filter.dropReasonDesc.length === 0) return [];
  const set = new Set(filter.dropReasonDesc);
  return [{ flow: (flow) => flow.verdict === Verdict.DROPPED && set.has(flow.dropReasonDesc), record: false }];
}

/** reply: a flow of which it is unknown never matches, but a dropped one counts as no reply. */
export function compileReplies(filter: FlowFilter): Predicate[] {
  if (filter.reply.length === 0) return [];
  const set = new Set(filter.reply);
  const answers = new Uint8Array(256);
  answers[ReplyState.NO] = set.has(false) ? 1 : 0;
  answers[ReplyState.YES] = set.has(true) ? 1 : 0;
  return [{
    flow: (flow: Flow) => {
      if (flow.isReply === undefined && flow.verdict !== Verdict.DROPPED) return false;
      return set.has(flow.isReply ?? false);
    },
    record: (view) => answers[view.u8[view.at + EVENT.is_reply]] === 1,
  }];
}

/** encrypted: a flow that does not say is not. */
export function compileEncrypted(filter: FlowFilter): Predicate[] {
  if (filter.encrypted.length === 0) return [];
  const set = new Set(filter.encrypted);
  return [{ flow: (flow) => set.has(flow.IP?.encrypted ?? false), record: set.has(false) }];
}

/** trace_id: the empty one matches flows without trace context. */
export function compileTraceIds(filter: FlowFilter): Predicate[] {
  if (filter.traceId.length === 0) return [];
  const set = new Set(filter.traceId);
  return [{ flow: (flow) => set.has(flow.traceContext?.parent?.traceId ?? ""), record: set.has("") }];
}

/** ip_trace_id: 0 matches flows without one. */
export function compileIpTraceIds(filter: FlowFilter): Predicate[] {
  if (filter.ipTraceId.length === 0) return [];
  const set = new Set(filter.ipTraceId);
  return [{ flow: (flow) => set.has(flow.ipTraceId?.traceId ?? 0n), record: set.has(0n) }];
}

/** traffic_direction. */
export function compileDirections(filter: FlowFilter): Predicate[] {
  if (filter.trafficDirection.length === 0) return [];
  const set = new Set(filter.trafficDirection);
  // The kernel's numbers are Hubble's; one that is unknown here is "unknown" there.
  const answers = Uint8Array.from({ length: 256 }, (_, number) => set.has(number <= 2 ? number : 0) ? 1 : 0);
  return [{
    flow: (flow) => set.has(flow.trafficDirection),
    record: (view) => answers[view.u8[view.at + EVENT.traffic_direction]] === 1,
  }];
}

/** interface: index 0 and an empty name are any; a flow without interface never matches. */
export function compileInterfaces(filter: FlowFilter): Predicate[] {
  const wanted = filter.interface;
  if (wanted.length === 0) return [];
  const test = (index: number, name: string) =>
    wanted.some((one) => (one.index === 0 || one.index === index) && (one.name === "" || one.name === name));
  return [{
    flow: (flow) => flow.interface !== undefined && test(flow.interface.index, flow.interface.name),
    record: (view) => test(view.u32[(view.at + EVENT.ifindex) >>> 2], view.interfaceName()),
  }];
}
