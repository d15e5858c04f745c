/**
 * Compiling filters, and matching flows with them, as records and as messages. `filter_compile` is one compilation;
 * one iteration of `filter_match` is 1,000 flows: divide by 1,000.
 *
 * The flow is a TCP SYN-ACK from 10.0.0.1:12345, pod default/web-abc123, to 10.0.0.2:80, pod kube-system/coredns-xyz.
 * `complex` lets it through by its first filter and then denies it, so that every part of it is looked at.
 */
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { type FlowFilter, FlowFilterSchema, TrafficDirection, Verdict } from "../proto/gen/flow/flow_pb.ts";
import { compileFilters, prepareFilters } from "../src/flow/filter/mod.ts";
import { IpProtocol, ReplyState, TcpFlag } from "../src/flow/record.ts";
import { event, fixture, v4 } from "../src/flow/test_support.ts";
import { recordToFlow } from "../src/flow/to_flow.ts";
import { makeIdentity } from "../src/identity/make.ts";

// Expressions are compiled by what is loaded with the first request that has one.
await prepareFilters([create(FlowFilterSchema, { experimental: { celExpression: ["true"] } })], []);

const FLOWS = 1000;

type Init = MessageInitShape<typeof FlowFilterSchema>;
type Filters = readonly [whitelist: readonly FlowFilter[], blacklist: readonly FlowFilter[]];

function filters(whitelist: readonly Init[], blacklist: readonly Init[] = []): Filters {
  return [whitelist.map((one) => create(FlowFilterSchema, one)), blacklist.map((one) => create(FlowFilterSchema, one))];
}

const CASES: Record<string, Filters> = {
  empty: filters([]),
  simple: filters([{ sourceIp: ["10.0.0.1"] }]),
  complex: filters([
    { sourceIp: ["10.0.0.0/16"], protocol: ["TCP"], destinationPort: ["80", "443"] },
    { sourceLabel: ["app=web"], trafficDirection: [TrafficDirection.EGRESS] },
  ], [{ destinationPod: ["kube-system/"] }]),
  "hubble-ui": filters(
    [{ reply: [false], sourcePod: ["default/"] }, { reply: [false], destinationPod: ["default/"] }],
    [
      { sourceLabel: ["reserved:unknown"] },
      { destinationLabel: ["reserved:unknown"] },
      { sourceFqdn: ["*.cluster.local*"] },
      { destinationFqdn: ["*.cluster.local*"] },
    ],
  ),
  "10,000 addresses": filters(Array.from({ length: 10_000 }, (_, i) => ({
    destinationIp: [`172.16.${i >> 8}.${i & 255}`],
  }))),
  "10,000 pairs": filters(Array.from({ length: 10_000 }, (_, i) => ({
    destinationIp: [`172.16.${i >> 8}.${i & 255}`],
    verdict: [Verdict.FORWARDED],
  }))),
  cel: filters([{ experimental: { celExpression: ["_flow.source.labels.exists(l, l == 'k8s:app=web')"] } }]),
};

const flows = fixture({ capacity: 1024 });
const source = makeIdentity({
  numeric: 42_000,
  namespace: "default",
  pod: "web-abc123",
  labels: ["k8s:app=web", "k8s:tier=frontend"],
  workloads: [{ name: "web", kind: "Deployment" }],
});
const destination = makeIdentity({
  numeric: 42_001,
  namespace: "kube-system",
  pod: "coredns-xyz",
  labels: ["k8s:k8s-app=kube-dns"],
  workloads: [{ name: "coredns", kind: "Deployment" }],
});
for (let i = 0; i < FLOWS; i++) {
  const words = event({
    ip_version: 4,
    protocol: IpProtocol.TCP,
    src_addr: v4(10, 0, 0, 1),
    dst_addr: v4(10, 0, 0, 2),
    src_port: 12_345,
    dst_port: 80,
    tcp_flags: TcpFlag.SYN | TcpFlag.ACK,
    traffic_direction: 2,
    is_reply: ReplyState.NO,
  });
  flows.push(words, { source, destination });
}
const { view } = flows;
const messages = Array.from({ length: FLOWS }, (_, position) => recordToFlow(view.moveTo(position)));

for (const [name, [whitelist, blacklist]] of Object.entries(CASES)) {
  Deno.bench({
    name,
    group: "filter_compile",
    fn: () => void compileFilters(whitelist, blacklist),
  });
}

let passed = 0;
for (const [name, [whitelist, blacklist]] of Object.entries(CASES)) {
  const matcher = compileFilters(whitelist, blacklist);
  // A thousand of these would take seconds.
  const slow = name === "10,000 pairs" || name === "cel";
  const count = slow ? FLOWS / 100 : FLOWS, unit = slow ? " (only 10 flows)" : "";
  Deno.bench({
    name: `${name}, records${unit}`,
    group: `filter_match x ${FLOWS}`,
    fn() {
      for (let position = 0; position < count; position++) if (matcher.matches(view.moveTo(position))) passed++;
    },
  });
  Deno.bench({
    name: `${name}, messages${unit}`,
    group: `filter_match x ${FLOWS}`,
    fn() {
      for (let i = 0; i < count; i++) if (matcher.matchesFlow(messages[i])) passed++;
    },
  });
}

Deno.bench({ name: "the walk alone", group: `filter_match x ${FLOWS}`, baseline: true }, () => {
  for (let position = 0; position < FLOWS; position++) passed += view.moveTo(position).kind;
});
