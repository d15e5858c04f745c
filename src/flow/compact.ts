import {
  AuthType,
  type Endpoint,
  type Flow,
  L7FlowType,
  type LostEvent,
  LostEventSource,
  type Service,
  TrafficDirection,
  Verdict,
} from "../../proto/gen/flow/flow_pb.ts";
import type { GetFlowsResponse } from "../../proto/gen/observer/observer_pb.ts";
import type { Timestamp } from "@bufbuild/protobuf/wkt";
import type { Identity } from "../identity/identity.ts";
import { DROP_TEXTS } from "./drop_texts.ts";
import { EVENT, EventFlag, IpProtocol, ReplyState, SlotKind } from "./record.ts";
import { summaryKey, summaryText } from "./summary.ts";
import { addressText } from "./text.ts";
import { toResponse } from "./to_flow.ts";
import { TRACE_SUB_TYPE } from "./trace.ts";
import type { FlowView } from "./view.ts";

/**
 * A response as one line, in the form of `hubble observe`'s compact output: time, source, arrow, destination, type,
 * verdict, summary. Undefined for a response that the form has no line for (node status).
 */
export function compactLine(response: GetFlowsResponse): string | undefined {
  const { case: kind, value } = response.responseTypes;
  if (kind === "flow") return `${timeText(value.time)}: ${flowText(value)}`;
  if (kind === "lostEvents") return `${timeText(response.time)} ${lostText(value)}`;
  return undefined;
}

/**
 * The line of a stored flow or lost event, as {@link compactLine} would print its response; of a record without building
 * the message, which is several times faster.
 */
export function compactViewLine(view: FlowView): string | undefined {
  if (view.kind !== SlotKind.RECORD) return compactLine(toResponse(view));
  const { u8, u16, at } = view;
  const ipVersion = u8[at + EVENT.ip_version], protocol = u8[at + EVENT.protocol];
  const hasPorts = (protocol === IpProtocol.TCP || protocol === IpProtocol.UDP || protocol === IpProtocol.SCTP) &&
    (u8[at + EVENT.event_flags] & EventFlag.FRAGMENT) === 0;
  const end = (identity: Identity, address: number, port: number) => {
    const text = portText(hasPorts ? u16[(at + port) >>> 1] : 0);
    return `${withPort(identityName(identity) ?? addressText(u8, at + address, ipVersion), text)} ${
      identityText(identity.numeric)
    }`;
  };
  const from = end(view.sourceIdentity(), EVENT.src_addr, EVENT.src_port);
  const to = end(view.destinationIdentity(), EVENT.dst_addr, EVENT.dst_port);
  const reply = u8[at + EVENT.is_reply];
  const isReply = reply === ReplyState.YES ? true : reply === ReplyState.NO ? false : undefined;
  const type = TRACE_POINTS[TRACE_SUB_TYPE[u8[at + EVENT.observation_point] & 3]];
  return `${clockText(view.seconds(), view.nanos())}: ${arrowText(from, to, isReply)} ${type} FORWARDED (${
    summaryText(summaryKey(u8, u16, at))
  })`;
}

/** Pod, else service, else names of an identity; undefined when it has none. */
function identityName({ namespace, pod, service, names }: Identity): string | undefined {
  const name = pod || service;
  if (name !== "") return namespace === "" ? name : `${namespace}/${name}`;
  return names.length > 0 ? names.join(",") : undefined;
}

function arrowText(from: string, to: string, isReply: boolean | undefined): string {
  return isReply === undefined ? `${from} <> ${to}` : isReply ? `${to} <- ${from}` : `${from} -> ${to}`;
}

function flowText(flow: Flow): string {
  const from = `${hostText(flow, "source")} ${identityText(flow.source?.identity ?? 0)}`;
  const to = `${hostText(flow, "destination")} ${identityText(flow.destination?.identity ?? 0)}`;
  return `${arrowText(from, to, flow.isReply)} ${typeText(flow)} ${verdictText(flow)} (${messageSummary(flow)})`;
}

function lostText({ source, numEventsLost, cpu, first, last }: LostEvent): string {
  const when = first && last ? ` (first: ${timeText(first)}, last: ${timeText(last)})` : "";
  return `EVENTS LOST: ${LostEventSource[source] ?? source} CPU(${cpu ?? 0}) ${numEventsLost}${when}`;
}

const MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/** `Jan _2 15:04:05.000` in UTC, as Hubble prints it; `N/A` without a time. */
function timeText(time: Timestamp | undefined): string {
  return time === undefined ? "N/A" : clockText(Number(time.seconds), time.nanos);
}

function clockText(seconds: number, nanos: number): string {
  const date = new Date(seconds * 1000 + Math.floor(nanos / 1e6));
  if (Number.isNaN(date.getTime())) return "N/A";
  const clock = date.toISOString().slice(date.toISOString().indexOf("T") + 1, -1);
  return `${MONTHS[date.getUTCMonth()]} ${String(date.getUTCDate()).padStart(2)} ${clock}`;
}

/** Pod, else service, else names, else address; with the port. Without an IP layer the hardware addresses. */
function hostText(flow: Flow, side: "source" | "destination"): string {
  if (flow.IP === undefined) return flow.ethernet?.[side] ?? "";
  const endpoint = flow[side];
  const service = side === "source" ? flow.sourceService : flow.destinationService;
  const names = side === "source" ? flow.sourceNames : flow.destinationNames;
  const name = nameText(endpoint, service, names) ?? flow.IP[side];
  return withPort(name, portText(portOf(flow, side)));
}

function withPort(name: string, port: string): string {
  if (port === "") return name;
  return `${name.includes(":") ? `[${name}]` : name}:${port}`;
}

function nameText(endpoint: Endpoint | undefined, service: Service | undefined, names: string[]): string | undefined {
  if (endpoint?.podName) {
    const namespace = service?.namespace || endpoint.namespace;
    return namespace ? `${namespace}/${endpoint.podName}` : endpoint.podName;
  }
  if (service?.name) return service.namespace ? `${service.namespace}/${service.name}` : service.name;
  return names.length > 0 ? names.join(",") : undefined;
}

function portOf(flow: Flow, side: "source" | "destination"): number {
  const l4 = flow.l4?.protocol;
  if (l4?.case !== "TCP" && l4?.case !== "UDP" && l4?.case !== "SCTP") return 0;
  return side === "source" ? l4.value.sourcePort : l4.value.destinationPort;
}

function portText(port: number): string {
  return port === 0 ? "" : String(port);
}

/** Cilium's reserved identities by number. */
const RESERVED = [
  "unknown",
  "host",
  "world",
  "unmanaged",
  "health",
  "init",
  "remote-node",
  "kube-apiserver",
  "ingress",
  "world-ipv4",
  "world-ipv6",
];

function identityText(identity: number): string {
  return identity < RESERVED.length ? `(${RESERVED[identity]})` : `(ID:${identity})`;
}

/** Names of trace events by event_type.sub_type. */
const TRACE_POINTS = [
  "to-endpoint",
  "to-proxy",
  "to-host",
  "to-stack",
  "to-overlay",
  "from-endpoint",
  "from-proxy",
  "from-host",
  "from-stack",
  "from-overlay",
  "from-network",
  "to-network",
  "from-crypto",
  "to-crypto",
];

/** How a policy verdict was reached, by policy_match_type. */
const POLICY_MATCHES = ["none", "L3-Only", "L3-L4", "L4-Only", "all", "L3-Proto", "Proto-Only"];

const EventType = { DROP: 1, TRACE: 4, POLICY_VERDICT: 5 } as const;

function typeText(flow: Flow): string {
  if (flow.l7) return l7Text(flow);
  const type = flow.eventType?.type ?? 0;
  const subType = flow.eventType?.subType ?? 0;
  if (type === EventType.TRACE) return TRACE_POINTS[subType] ?? String(subType);
  if (type === EventType.DROP) return dropText(subType);
  if (type === EventType.POLICY_VERDICT) {
    const match = POLICY_MATCHES[flow.policyMatchType] ?? String(flow.policyMatchType);
    return `policy-verdict:${match} ${TrafficDirection[flow.trafficDirection] ?? flow.trafficDirection}`;
  }
  return "UNKNOWN";
}

function l7Text(flow: Flow): string {
  const kind = (L7FlowType[flow.l7?.type ?? 0] ?? String(flow.l7?.type)).toLowerCase();
  const record = flow.l7?.record;
  // The space stays when nobody said where the query was seen: Hubble prints it.
  if (record?.case === "dns") return `dns-${kind} ${record.value.observationSource}`;
  return `${record?.case ?? "l7"}-${kind}`;
}

function dropText(code: number): string {
  return DROP_TEXTS[code] ?? `${code}, 0`;
}

function messageSummary({ ipTraceId, Summary, authType }: Flow): string {
  const trace = ipTraceId && ipTraceId.traceId > 0n ? `IP Trace ID: ${ipTraceId.traceId}; ` : "";
  const auth = authType === AuthType.DISABLED ? "" : `; Auth: ${AuthType[authType] ?? authType}`;
  return `${trace}${Summary}${auth}`;
}

function verdictText(flow: Flow): string {
  if (flow.eventType?.type === EventType.POLICY_VERDICT) {
    if (flow.verdict === Verdict.DROPPED || flow.verdict === Verdict.ERROR) return "DENIED";
    if (flow.verdict === Verdict.AUDIT) return "AUDITED";
    if (flow.verdict === Verdict.FORWARDED || flow.verdict === Verdict.REDIRECTED) return "ALLOWED";
  }
  return Verdict[flow.verdict] ?? String(flow.verdict);
}
