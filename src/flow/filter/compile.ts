import type { Flow, FlowFilter } from "../../../proto/gen/flow/flow_pb.ts";
import type { FlowView } from "../view.ts";
import { compileAddresses } from "./address_fields.ts";
import { compileCel } from "./cel_loader.ts";
import {
  compileClusters,
  compileIdentities,
  compilePods,
  compileServices,
  compileWorkloads,
} from "./endpoint_fields.ts";
import {
  compileDirections,
  compileDropReasons,
  compileEncrypted,
  compileEventTypes,
  compileInterfaces,
  compileIpTraceIds,
  compileReplies,
  compileTraceIds,
  compileUuids,
  compileVerdicts,
} from "./event_fields.ts";
import { compileHttp } from "./http_fields.ts";
import { compileLabels } from "./label_fields.ts";
import type { Budget } from "./limits.ts";
import { compileDomains, compileNodeNames } from "./name_fields.ts";
import { compileIpVersions, compilePorts, compileProtocols, compileTcpFlags } from "./packet_fields.ts";
import type { Predicate, RecordTest } from "./predicate.ts";

type Compiler = (filter: FlowFilter, budget: Budget) => Predicate[];
type Name = Exclude<keyof FlowFilter, "$typeName" | "$unknown">;

/** Fields and what compiles them, in Hubble's order, which decides which of several mistakes is reported. */
const COMPILERS: readonly (readonly [Compiler, ...Name[]])[] = [
  [compileUuids, "uuid"],
  [compileEventTypes, "eventType"],
  [compileVerdicts, "verdict"],
  [compileDropReasons, "dropReasonDesc"],
  [compileReplies, "reply"],
  [compileEncrypted, "encrypted"],
  [compileIdentities, "sourceIdentity", "destinationIdentity"],
  [compileProtocols, "protocol"],
  [compileAddresses, "sourceIp", "destinationIp", "sourceIpXlated"],
  [compilePods, "sourcePod", "destinationPod"],
  [compileWorkloads, "sourceWorkload", "destinationWorkload"],
  [compileServices, "sourceService", "destinationService"],
  [compileDomains, "sourceFqdn", "destinationFqdn", "dnsQuery"],
  [compileLabels, "sourceLabel", "destinationLabel", "nodeLabels"],
  [compilePorts, "sourcePort", "destinationPort"],
  [compileHttp, "httpStatusCode", "httpMethod", "httpPath", "httpUrl", "httpHeader"],
  [compileTcpFlags, "tcpFlags"],
  [compileNodeNames, "nodeName"],
  [compileClusters, "sourceClusterName", "destinationClusterName"],
  [compileIpVersions, "ipVersion"],
  [compileTraceIds, "traceId"],
  [compileDirections, "trafficDirection"],
  [compileCel, "experimental"],
  [compileInterfaces, "interface"],
  [compileIpTraceIds, "ipTraceId"],
];

const FIELDS = COMPILERS.flatMap(([compile, ...names]) => names.map((name) => ({ name, compile })));

/** The fields that a filter sets; what a newer Hubble may have put into it besides is not matched. */
function fieldsOf(filter: FlowFilter): typeof FIELDS {
  return FIELDS.filter(({ name }) => {
    const value = filter[name];
    return Array.isArray(value) ? value.length > 0 : value !== undefined;
  });
}

type FlowTest = (flow: Flow) => boolean;

/** One filter: all of its tests must hold. */
export interface CompiledFilter {
  readonly flow: readonly FlowTest[];
  /** For records: tests of the slot, then those of the message; undefined when no record can match. */
  readonly record: { readonly slot: readonly RecordTest[]; readonly message: readonly FlowTest[] } | undefined;
}

/** @throws {FilterError} when a field holds what Hubble refuses, or a limit of the request is passed. */
export function compileFilter(filter: FlowFilter, budget: Budget): CompiledFilter {
  const compilers = new Set(fieldsOf(filter).map(({ compile }) => compile));
  const predicates = [...compilers].flatMap((compile) => compile(filter, budget));
  const flow = predicates.map((predicate) => predicate.flow);
  if (predicates.some(({ record }) => record === false)) return { flow, record: undefined };
  const slot: RecordTest[] = [], message: FlowTest[] = [];
  for (const predicate of predicates) {
    if (typeof predicate.record === "function") slot.push(predicate.record);
    else if (predicate.record === undefined) message.push(predicate.flow);
  }
  return { flow, record: { slot, message } };
}

/**
 * Puts filters that set the same single field into one. The values of a field are alternatives as filters are, so it
 * says the same; and a list of thousands of addresses, one in each filter, is looked up instead of walked through.
 */
export function mergeFilters(filters: readonly FlowFilter[]): FlowFilter[] {
  const merged: FlowFilter[] = [], lists = new Map<Name, unknown[]>();
  for (const filter of filters) {
    const [field, ...others] = fieldsOf(filter);
    const values = field === undefined ? undefined : filter[field.name];
    // Expressions stay apart: one that fails says nothing about those of another filter.
    if (field === undefined || others.length > 0 || !Array.isArray(values)) merged.push(filter);
    else {
      const list = lists.get(field.name);
      if (list !== undefined) { for (const value of values) list.push(value); }
      else {
        const copy: unknown[] = [...values];
        lists.set(field.name, copy);
        merged.push({ ...filter, [field.name]: copy });
      }
    }
  }
  return merged;
}

/** Whether a message passes one of the filters. */
export function anyFlow(filters: readonly CompiledFilter[], flow: Flow): boolean {
  for (let i = 0; i < filters.length; i++) {
    const tests = filters[i].flow;
    let at = 0;
    while (at < tests.length && tests[at](flow)) at++;
    if (at === tests.length) return true;
  }
  return false;
}

/**
 * Whether a record passes one of the filters.
 *
 * @param toFlow makes the record's message, for the fields that need it
 */
export function anyRecord(
  filters: readonly CompiledFilter[],
  view: FlowView,
  toFlow: (view: FlowView) => Flow,
): boolean {
  let flow: Flow | undefined;
  for (let i = 0; i < filters.length; i++) {
    const record = filters[i].record;
    if (record === undefined) continue;
    const { slot, message } = record;
    let at = 0;
    while (at < slot.length && slot[at](view)) at++;
    if (at < slot.length) continue;
    if (message.length === 0) return true;
    const built: Flow = flow ??= toFlow(view);
    if (message.every((test) => test(built))) return true;
  }
  return false;
}
