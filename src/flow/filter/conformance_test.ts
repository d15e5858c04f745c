import { clone, create, fromJson, type JsonValue } from "@bufbuild/protobuf";
import assert from "node:assert/strict";
import {
  type Endpoint,
  type Flow,
  type FlowFilter,
  FlowFilterSchema,
  FlowSchema,
  Verdict,
} from "../../../proto/gen/flow/flow_pb.ts";
import { parseAddress } from "../../identity/address.ts";
import type { Identity } from "../../identity/identity.ts";
import { makeIdentity } from "../../identity/make.ts";
import { IpProtocol, ReplyState, TcpFlag } from "../record.ts";
import { event, type EventFields, fixture } from "../test_support.ts";
import { recordToFlow } from "../to_flow.ts";
import { EVENT_TYPE_TRACE, TRACE_SUB_TYPE } from "../trace.ts";
import type { FlowView } from "../view.ts";
import { compileFilters, FilterError, prepareFilters } from "./mod.ts";

// Expressions are compiled by what is loaded with the first request that has one.
await prepareFilters([create(FlowFilterSchema, { experimental: { celExpression: ["true"] } })], []);

/** What Hubble's filters say about a flow, or that they are refused. */
interface Case {
  readonly name: string;
  readonly whitelist: readonly FlowFilter[];
  readonly blacklist: readonly FlowFilter[];
  /** Undefined when the filters are refused. */
  readonly flow: Flow | undefined;
  readonly match: boolean;
  /** The message of the refusal; not all cases have it. */
  readonly message: string | undefined;
}

function readCase(line: string, at: number): Case {
  const { name, whitelist, blacklist, flow, match, error } = JSON.parse(line);
  const filters = (list: JsonValue[]) => list.map((filter) => fromJson(FlowFilterSchema, filter));
  return {
    name: name ?? `${at + 1}: ${JSON.stringify(whitelist)}`,
    whitelist: filters(whitelist),
    blacklist: filters(blacklist),
    flow: flow === undefined ? undefined : fromJson(FlowSchema, flow),
    match: match === true,
    message: typeof error === "string" ? error : undefined,
  };
}

async function readCases(name: string): Promise<Case[]> {
  const text = await Deno.readTextFile(new URL(`testdata/${name}`, import.meta.url));
  return text.trimEnd().split("\n").map(readCase);
}

/** Cases of Hubble's own tests. */
const CONFORMANCE = await readCases("conformance.jsonl");
/** Further cases, answered by the filters of Hubble 1.19.4. */
const ANSWERS = await readCases("answers.jsonl");

function checkMessage({ whitelist, blacklist, flow, match, message }: Case): void {
  if (flow !== undefined) return assert.equal(compileFilters(whitelist, blacklist).matchesFlow(flow), match);
  assert.throws(() => compileFilters(whitelist, blacklist), (error: unknown) => {
    assert.ok(error instanceof FilterError);
    if (message !== undefined) assert.equal(error.message, message);
    return true;
  });
}

Deno.test("Hubble's cases on messages", async (t) => {
  for (const one of CONFORMANCE) await t.step(one.name, () => checkMessage(one));
});

Deno.test("Hubble's answers and error texts on messages", async (t) => {
  for (const one of ANSWERS) await t.step(one.name, () => checkMessage(one));
});

const ports = (flow: Flow) => {
  const value = flow.l4?.protocol.value;
  return value !== undefined && "sourcePort" in value ? [value.sourcePort, value.destinationPort] : [];
};
const l4 = (flow: Flow) => flow.l4?.protocol.case;
const flags = ({ l4 }: Flow) => l4?.protocol.case === "TCP" ? l4.protocol.value.flags : undefined;
/** event_type of an access log entry. */
const ACCESS_LOG = 129;

const l7 = (flow: Flow) => flow.l7;
const both =
  (get: (endpoint: Endpoint | undefined) => unknown) => (flow: Flow) => [get(flow.source), get(flow.destination)];
const pods = both((endpoint) => [endpoint?.namespace ?? "", endpoint?.podName ?? ""]);
const labels = both((endpoint) => [...endpoint?.labels ?? []].sort());
const workloads = both((endpoint) => endpoint?.workloads.map(({ name, kind }) => [name, kind]) ?? []);
const services = ({ sourceService: source, destinationService: destination }: Flow) =>
  [source, destination].map((service) => [service?.namespace ?? "", service?.name ?? ""]);

/** What of a flow each field of a filter looks at. */
const ASPECTS: { readonly [Name in keyof FlowFilter]?: (flow: Flow, filter: FlowFilter) => unknown } = {
  sourceIp: (flow) => flow.IP?.source ?? "",
  destinationIp: (flow) => flow.IP?.destination ?? "",
  sourceIpXlated: (flow) => flow.IP?.sourceXlated ?? "",
  ipVersion: (flow) => flow.IP?.ipVersion ?? 0,
  encrypted: (flow) => flow.IP?.encrypted ?? false,
  sourcePod: pods,
  destinationPod: pods,
  sourceService: services,
  destinationService: services,
  sourceLabel: labels,
  destinationLabel: labels,
  sourceWorkload: workloads,
  destinationWorkload: workloads,
  sourceIdentity: (flow) => flow.source?.identity,
  destinationIdentity: (flow) => flow.destination?.identity,
  sourceClusterName: both((endpoint) => endpoint?.clusterName ?? ""),
  destinationClusterName: both((endpoint) => endpoint?.clusterName ?? ""),
  sourceFqdn: (flow) => flow.sourceNames,
  destinationFqdn: (flow) => flow.destinationNames,
  nodeName: (flow) => flow.nodeName,
  nodeLabels: (flow) => flow.nodeLabels,
  verdict: (flow) => flow.verdict,
  dropReasonDesc: (flow) => flow.verdict === Verdict.DROPPED && flow.dropReasonDesc,
  eventType: (flow) => [flow.eventType?.type, flow.eventType?.subType],
  trafficDirection: (flow) => flow.trafficDirection,
  reply: (flow) => flow.isReply ?? flow.verdict === Verdict.DROPPED,
  protocol: (flow) => [l4(flow), l7(flow)],
  sourcePort: (flow) => [l4(flow), ports(flow)],
  destinationPort: (flow) => [l4(flow), ports(flow)],
  tcpFlags: flags,
  traceId: (flow) => flow.traceContext?.parent?.traceId ?? "",
  ipTraceId: (flow) => flow.ipTraceId?.traceId ?? 0n,
  uuid: (flow) => flow.uuid,
  interface: (flow) => [flow.interface?.index, flow.interface?.name],
  httpStatusCode: l7,
  httpMethod: l7,
  httpPath: l7,
  httpUrl: l7,
  httpHeader: l7,
  dnsQuery: l7,
  // The fields that the expressions name.
  experimental: (flow, { experimental }) => {
    const text = experimental?.celExpression.join() ?? "";
    return [...text.matchAll(/_flow(?:\.(\w+))?/g)].map(([, name]) => {
      if (name === "IP") return [flow.IP?.source, flow.IP?.destination];
      if (name === "l4") return [l4(flow), ports(flow), text.includes("flags") && flags(flow)];
      const field = FlowSchema.fields.find((one) => one.name === name);
      return field === undefined ? flow : flow[field.localName as keyof Flow];
    });
  },
};

const PROTOCOLS: Record<string, number> = {
  TCP: IpProtocol.TCP,
  UDP: IpProtocol.UDP,
  SCTP: IpProtocol.SCTP,
  ICMPv4: IpProtocol.ICMP,
  ICMPv6: IpProtocol.ICMPV6,
};

function address(text: string | undefined): number[] {
  const bytes = new Uint8Array(16);
  if (text !== undefined) parseAddress(text, bytes);
  return [...bytes];
}

function identity(flow: Flow, side: "source" | "destination"): Identity {
  const endpoint = flow[side], service = side === "source" ? flow.sourceService : flow.destinationService;
  const [name = ""] = side === "source" ? flow.sourceNames : flow.destinationNames;
  return makeIdentity({
    numeric: endpoint?.identity ?? 0,
    namespace: service?.namespace ?? endpoint?.namespace ?? "",
    pod: endpoint?.podName ?? "",
    service: service?.name ?? "",
    // A node's name stands among the flow's names as it is.
    node: name,
    cluster: endpoint?.clusterName ?? "",
    labels: endpoint?.labels ?? [],
    workloads: endpoint?.workloads ?? [],
  });
}

/** The record that comes nearest to a flow. */
function record(flow: Flow): FlowView {
  const flows = fixture({ nodeName: flow.nodeName });
  const [src_port = 0, dst_port = 0] = ports(flow), set = flags(flow), subType = flow.eventType?.subType ?? 0;
  if (flow.interface !== undefined) flows.interfaces.set(flow.interface.index, flow.interface.name);
  const fields: EventFields = {
    ip_version: (flow.IP?.source ?? "").includes(":") || flow.IP?.ipVersion === 2 ? 6 : 4,
    src_addr: address(flow.IP?.source),
    dst_addr: address(flow.IP?.destination),
    src_port,
    dst_port,
    protocol: PROTOCOLS[l4(flow) ?? ""] ?? 255,
    tcp_flags: Object.entries(TcpFlag).reduce((bits, [name, bit]) => bits | (set?.[name as "SYN"] ? bit : 0), 0),
    ifindex: flow.interface?.index ?? 0,
    traffic_direction: flow.trafficDirection,
    is_reply: flow.isReply === undefined ? ReplyState.UNKNOWN : flow.isReply ? ReplyState.YES : ReplyState.NO,
    observation_point: Math.max(0, TRACE_SUB_TYPE.indexOf(subType)),
  };
  return flows.push(event(fields), { source: identity(flow, "source"), destination: identity(flow, "destination") });
}

/** What the filters look at and a record cannot be like. */
function inexpressible({ whitelist, blacklist }: Case, flow: Flow, made: Flow): string[] {
  const differing = new Set<string>();
  for (const filter of [...whitelist, ...blacklist]) {
    for (const [name, values] of Object.entries(filter)) {
      const aspect = ASPECTS[name as keyof FlowFilter],
        used = Array.isArray(values) ? values.length > 0 : values !== undefined;
      if (!used || name.startsWith("$")) continue;
      assert.ok(aspect !== undefined, name);
      try {
        assert.deepEqual(aspect(made, filter), aspect(flow, filter));
      } catch {
        differing.add(name);
      }
    }
  }
  return [...differing];
}

/** Fields that look at what packets do not carry, or at what is the same for all records. */
const BEYOND_RECORDS = [
  "dnsQuery",
  "dropReasonDesc",
  "encrypted",
  "eventType",
  "httpHeader",
  "httpMethod",
  "httpPath",
  "httpStatusCode",
  "httpUrl",
  "ipTraceId",
  "ipVersion",
  "nodeLabels",
  "reply",
  "sourceFqdn",
  "sourceIpXlated",
  "traceId",
  "uuid",
  "verdict",
];

/**
 * The cases about node names are told of access log entries, which no record is. A trace event will do, when both the
 * filter and the flow speak of one.
 */
function asTrace(one: Case): Case {
  const whitelist = one.whitelist.map((filter) => clone(FlowFilterSchema, filter));
  const flow = one.flow && clone(FlowSchema, one.flow);
  const types = whitelist.flatMap((filter) => filter.eventType);
  if (flow?.eventType?.type !== ACCESS_LOG || flow.l7 !== undefined || types.some(({ type }) => type !== ACCESS_LOG)) {
    return one;
  }
  for (const type of types) type.type = EVENT_TYPE_TRACE;
  flow.eventType.type = EVENT_TYPE_TRACE;
  return { ...one, whitelist, flow };
}

/** Checks the cases that are about a flow that a record can express, and counts the others. */
async function checkRecords(t: Deno.TestContext, cases: readonly Case[]) {
  const counts = { expressed: 0, inexpressible: 0, refused: 0 }, fields = new Set<string>();
  for (const one of cases.map(asTrace)) {
    if (one.flow === undefined) {
      counts.refused++;
      continue;
    }
    const view = record(one.flow), differing = inexpressible(one, one.flow, recordToFlow(view));
    if (differing.length > 0) {
      counts.inexpressible++;
      for (const name of differing) fields.add(name);
      continue;
    }
    counts.expressed++;
    await t.step(one.name, () => assert.equal(compileFilters(one.whitelist, one.blacklist).matches(view), one.match));
  }
  return { counts, fields };
}

Deno.test("Hubble's cases on records", async (t) => {
  const { counts, fields } = await checkRecords(t, CONFORMANCE);
  assert.deepEqual(counts, { expressed: 139, inexpressible: 51, refused: 28 });
  assert.deepEqual([...fields].sort(), BEYOND_RECORDS);
});

Deno.test("Hubble's answers on records", async (t) => {
  const { counts } = await checkRecords(t, ANSWERS);
  assert.deepEqual(counts, { expressed: 247, inexpressible: 211, refused: 172 });
});
