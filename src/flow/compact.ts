import {
  DropReason,
  type Endpoint,
  type Flow,
  type LostEvent,
  LostEventSource,
  type Service,
  TrafficDirection,
  Verdict,
} from "../../proto/gen/flow/flow_pb.ts";
import type { GetFlowsResponse } from "../../proto/gen/observer/observer_pb.ts";
import type { Timestamp } from "@bufbuild/protobuf/wkt";

/**
 * A response as one line, in the form of `hubble observe`'s compact output: time, source, arrow, destination, type,
 * verdict, summary. Undefined for a response that the form has no line for (node status).
 */
export function compactLine(response: GetFlowsResponse): string | undefined {
  const { case: kind, value } = response.responseTypes;
  if (kind === "flow") return `${timeText(value.time)}: ${flowText(value)}`;
  if (kind === "lostEvents") return `${timeText(response.time)}: ${lostText(value)}`;
  return undefined;
}

function flowText(flow: Flow): string {
  const isReply = flow.isReply;
  const from = `${hostText(flow, "source")} ${identityText(flow.source)}`;
  const to = `${hostText(flow, "destination")} ${identityText(flow.destination)}`;
  const ends = isReply === undefined ? `${from} <> ${to}` : isReply ? `${to} <- ${from}` : `${from} -> ${to}`;
  return `${ends} ${typeText(flow)} ${verdictText(flow)} (${flow.Summary})`;
}

function lostText({ source, numEventsLost, cpu, first, last }: LostEvent): string {
  const where = cpu === undefined ? "" : ` CPU(${cpu})`;
  const when = first && last ? ` (first: ${timeText(first)}, last: ${timeText(last)})` : "";
  return `EVENTS LOST: ${LostEventSource[source] ?? source}${where} ${numEventsLost}${when}`;
}

const MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/** `Jan _2 15:04:05.000` in UTC, as Hubble prints it; `N/A` without a time. */
function timeText(time: Timestamp | undefined): string {
  if (time === undefined) return "N/A";
  const date = new Date(Number(time.seconds) * 1000 + Math.floor(time.nanos / 1e6));
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
  const port = portText(flow, side);
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

function portText(flow: Flow, side: "source" | "destination"): string {
  const l4 = flow.l4?.protocol;
  if (l4?.case !== "TCP" && l4?.case !== "UDP" && l4?.case !== "SCTP") return "";
  const port = side === "source" ? l4.value.sourcePort : l4.value.destinationPort;
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

function identityText(endpoint: Endpoint | undefined): string {
  const identity = endpoint?.identity ?? 0;
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
  const kind = ["unknown", "request", "response", "sample"][flow.l7?.type ?? 0] ?? "unknown";
  const record = flow.l7?.record;
  if (record?.case === "http") return `http-${kind}`;
  if (record?.case === "dns") {
    return `dns-${kind}${record.value.observationSource ? ` ${record.value.observationSource}` : ""}`;
  }
  return `l7-${kind}`;
}

/** Reasons that Cilium words otherwise than their enum name. */
const DROP_TEXTS: Readonly<Record<number, string>> = { 133: "Policy denied", 181: "Policy denied by denylist" };

function dropText(code: number): string {
  const name: string | undefined = DropReason[code];
  if (DROP_TEXTS[code] !== undefined) return DROP_TEXTS[code];
  if (name === undefined || code === 0) return `${code}, 0`;
  const words = name.replaceAll("_", " ").toLowerCase();
  return words[0].toUpperCase() + words.slice(1);
}

function verdictText(flow: Flow): string {
  if (flow.eventType?.type === EventType.POLICY_VERDICT) {
    if (flow.verdict === Verdict.DROPPED || flow.verdict === Verdict.ERROR) return "DENIED";
    if (flow.verdict === Verdict.AUDIT) return "AUDITED";
    if (flow.verdict === Verdict.FORWARDED || flow.verdict === Verdict.REDIRECTED) return "ALLOWED";
  }
  return Verdict[flow.verdict] ?? String(flow.verdict);
}
