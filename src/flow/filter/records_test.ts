import { create, type MessageInitShape } from "@bufbuild/protobuf";
import assert from "node:assert/strict";
import fc from "fast-check";
import {
  DropReason,
  type FlowFilter,
  FlowFilterSchema,
  IPVersion,
  TrafficDirection,
  Verdict,
} from "../../../proto/gen/flow/flow_pb.ts";
import type { Identity } from "../../identity/identity.ts";
import { makeIdentity } from "../../identity/make.ts";
import { EventFlag, IpProtocol, TcpFlag } from "../record.ts";
import { event, type EventFields, type Fixture, fixture, v4 } from "../test_support.ts";
import { recordToFlow } from "../to_flow.ts";
import { uuidText } from "../uuid.ts";
import { saltWords } from "../uuid.ts";
import { compileFilters, prepareFilters } from "./mod.ts";

// Expressions are compiled by what is loaded with the first request that has one.
await prepareFilters([create(FlowFilterSchema, { experimental: { celExpression: ["true"] } })], []);

/**
 * Records and messages give the same answers. Values come from small pools that filters and flows share, so that both
 * answers are frequent.
 */

const V4 = [v4(10, 0, 0, 1), v4(10, 0, 0, 2), v4(10, 1, 2, 3), v4(192, 168, 1, 9), v4(0, 0, 0, 0)];
const V6 = [
  [0x20, 1, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1],
  [0x20, 1, 0x0d, 0xb8, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2],
  [0xfe, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1],
  // IPv4-mapped, in an IPv6 packet: its text is not that of the IPv4 address.
  v4(10, 0, 0, 1),
  new Array(16).fill(0),
];

const IDENTITIES: readonly Identity[] = [
  makeIdentity({ numeric: 0, labels: ["reserved:unknown"] }),
  makeIdentity({ numeric: 2, labels: ["reserved:world"] }),
  makeIdentity({ numeric: 2, labels: ["cidr:10.1.2.0/24", "reserved:world"] }),
  makeIdentity({
    numeric: 101,
    namespace: "default",
    pod: "web-1",
    cluster: "c1",
    labels: ["k8s:app=web", "k8s:tier=5", "k8s:io.kubernetes.pod.namespace=default"],
    workloads: [{ name: "web", kind: "Deployment" }],
  }),
  makeIdentity({
    numeric: 102,
    namespace: "kube-system",
    pod: "coredns-x",
    labels: ["k8s:k8s-app=kube-dns", "unspec:app", "any:tier=-7"],
    workloads: [{ name: "coredns", kind: "Deployment" }, { name: "web", kind: "DaemonSet" }],
  }),
  makeIdentity({ numeric: 103, namespace: "default", service: "web", labels: ["k8s:app=dns"] }),
  makeIdentity({ numeric: 104, node: "node-1", labels: ["reserved:remote-node", "$host"] }),
  makeIdentity({ numeric: 105, node: "worker_2.example", cluster: "c2" }),
];

const arbitraryEvent: fc.Arbitrary<EventFields> = fc.constantFrom(4, 6).chain((ip_version) => {
  const address = fc.constantFrom(...ip_version === 4 ? V4 : V6);
  return fc.record({
    ip_version: fc.constant(ip_version),
    src_addr: address,
    dst_addr: address,
    ifindex: fc.integer({ min: 0, max: 3 }),
    src_port: fc.constantFrom(0, 53, 80, 40000),
    dst_port: fc.constantFrom(0, 53, 80, 40000),
    protocol: fc.oneof(fc.constant(IpProtocol.TCP), fc.constantFrom(...Object.values(IpProtocol), 0, 47)),
    tcp_flags: fc.constantFrom(0, TcpFlag.SYN, TcpFlag.SYN | TcpFlag.ACK, TcpFlag.NS, 511),
    event_flags: fc.constantFrom(0, 0, 0, EventFlag.FRAGMENT, EventFlag.CLOSED),
    observation_point: fc.integer({ min: 0, max: 3 }),
    traffic_direction: fc.constantFrom(0, 1, 2, 3),
    is_reply: fc.constantFrom(0, 1, 2, 3),
  });
});

const SALT = saltWords(fixture().context.uuidSalt);

type Fields = Required<Omit<MessageInitShape<typeof FlowFilterSchema>, "$typeName" | "$unknown">>;
type Pools = {
  readonly [Name in keyof Fields]: readonly (Fields[Name] extends readonly (infer T)[] ? T : Fields[Name])[];
};

const ADDRESSES = [
  "10.0.0.1",
  "10.0.0.2",
  "192.168.1.9",
  "2001:db8::1",
  "2001:0db8::1",
  "2001:DB8::1",
  "::ffff:10.0.0.1",
  "::ffff:a00:1",
  "fe80::1%eth0",
  "::",
  "0.0.0.0",
  "10.0.0.0/8",
  "10.1.2.3/16",
  "0.0.0.0/0",
  "::/0",
  "2001:db8:1::/48",
  "::ffff:0.0.0.0/96",
  "10.0.0.1/32",
  "203.0.113.7",
  "203.0.113.8",
];
const NAMES = ["default/", "web", "/web", "/", "kube-system/core", "default/web-1", "default/x", "/web/x"];
const LABELS = [
  "app=web",
  "k8s:app",
  "!app",
  "app in (web, dns)",
  "app notin (web)",
  "tier>4",
  "tier<0",
  "reserved:world",
  "reserved:host",
  "cidr:10.0.0.0/8",
  "",
  "app=",
  "k8s:app=web,tier",
  "app notin ()",
];
const DOMAINS = ["node-1", "*", "*.example", "worker_*", "default.*", "*-1"];
const WORKLOADS = [{}, { name: "web" }, { kind: "Deployment" }, { name: "web", kind: "DaemonSet" }, { name: "x" }];

const POOLS: Pools = {
  sourceIp: ADDRESSES,
  destinationIp: ADDRESSES,
  sourceIpXlated: ADDRESSES,
  sourcePod: NAMES,
  destinationPod: NAMES,
  sourceService: NAMES,
  destinationService: NAMES,
  sourceFqdn: DOMAINS,
  destinationFqdn: DOMAINS,
  nodeName: ["node-1", "default/", "c*/node-1", "/", "n*"],
  sourceLabel: LABELS,
  destinationLabel: LABELS,
  nodeLabels: ["role=x", "!role", "", "role notin (x)"],
  verdict: [Verdict.FORWARDED, Verdict.DROPPED, Verdict.VERDICT_UNKNOWN],
  dropReasonDesc: [DropReason.DROP_REASON_UNKNOWN, DropReason.POLICY_DENIED],
  eventType: [
    { type: 0 },
    { type: 4 },
    { type: 129 },
    { type: 4, matchSubType: true, subType: 0 },
    { matchSubType: true, subType: 10 },
  ],
  trafficDirection: [0, 1, 2] as TrafficDirection[],
  ipVersion: [IPVersion.IP_NOT_USED, IPVersion.IPv4, IPVersion.IPv6],
  protocol: ["tcp", "UDP", "icmp", "icmpv4", "icmpv6", "sctp", "igmp", "vrrp", "dns", "http"],
  sourcePort: ["0", "53", "080", "40000", "1"],
  destinationPort: ["0", "53", "80", "65535"],
  reply: [true, false],
  encrypted: [true, false],
  sourceIdentity: [0, 2, 101, 102],
  destinationIdentity: [0, 2, 101, 105],
  tcpFlags: [{}, { SYN: true }, { SYN: true, ACK: true }, { NS: true }, { FIN: true, RST: true }],
  sourceWorkload: WORKLOADS,
  destinationWorkload: WORKLOADS,
  sourceClusterName: ["c1", "c2", "c*"],
  destinationClusterName: ["c1", "default"],
  traceId: ["", "4bf92f35"],
  ipTraceId: [0n, 1n],
  uuid: [uuidText(SALT, 0), uuidText(SALT, 3), uuidText(SALT, 7), ""],
  interface: [{}, { index: 1 }, { name: "eth1" }, { index: 2, name: "eth1" }, { index: 2, name: "eth2" }],
  httpStatusCode: ["200"],
  httpMethod: ["GET"],
  httpPath: [""],
  httpUrl: [".*"],
  httpHeader: [{ key: "a", value: "b" }],
  dnsQuery: [".*"],
  experimental: [
    { celExpression: ["_flow.verdict == Verdict.FORWARDED && has(_flow.l4.TCP)"] },
    { celExpression: ["_flow.source.pod_name.startsWith('web')", "_flow.is_reply == true"] },
    { celExpression: ["1 / (_flow.interface.index == 1u ? 0 : 1) == 1", "true"] },
  ],
};

const FIELDS = Object.keys(POOLS) as (keyof Pools)[];

function values(name: keyof Pools): fc.Arbitrary<unknown> {
  const pool = POOLS[name] as readonly unknown[];
  const one = fc.constantFrom(...pool);
  return name === "experimental" ? one : fc.array(one, { minLength: 1, maxLength: 3 });
}

const arbitraryFilter: fc.Arbitrary<FlowFilter> = fc.subarray(FIELDS, { minLength: 0, maxLength: 2 })
  .chain((names) =>
    fc.tuple(...names.map(values)).map((all) => Object.fromEntries(names.map((name, i) => [name, all[i]])))
  )
  // Fields of HTTP accept only these event types, which no record has.
  .map(({ eventType, ...fields }) =>
    create(
      FlowFilterSchema,
      Object.keys(fields).some((name) => name.startsWith("http")) ? fields : { eventType, ...fields },
    )
  );

/** A store in which identity numbers are given out again and again. */
function stored(): Fixture {
  const flows = fixture({ capacity: 8 });
  flows.interfaces.set(1, "eth1");
  flows.interfaces.set(2, "eth2");
  return flows;
}

Deno.test("A record and its message get the same answer", () => {
  const counts = { yes: 0, no: 0 };
  const arbitraryFlow = fc.record({
    event: arbitraryEvent,
    source: fc.constantFrom(...IDENTITIES),
    destination: fc.constantFrom(...IDENTITIES),
  });
  const lists = fc.tuple(
    fc.array(arbitraryFilter, { minLength: 1, maxLength: 3 }),
    fc.array(arbitraryFilter, { maxLength: 1 }),
  );
  fc.assert(
    fc.property(lists, fc.array(arbitraryFlow, { minLength: 1, maxLength: 24 }), ([whitelist, blacklist], all) => {
      const matcher = compileFilters(whitelist, blacklist), flows = stored();
      for (const { event: fields, source, destination } of all) {
        const view = flows.push(event(fields), { source, destination });
        const expected = matcher.matchesFlow(recordToFlow(view));
        assert.equal(matcher.matches(view), expected);
        counts[expected ? "yes" : "no"]++;
      }
    }),
    { numRuns: 1500 },
  );
  // A property that only ever sees one answer shows nothing.
  const share = counts.yes / (counts.yes + counts.no);
  assert.ok(share > 0.2 && share < 0.8, `${share} of the answers are yes`);
});

Deno.test("Every field has flows for both of its answers, on records where they can express it", () => {
  const onlyNo = new Set(["httpStatusCode", "httpMethod", "httpPath", "httpUrl", "httpHeader", "dnsQuery"]);
  for (const name of ["sourceIpXlated", "dropReasonDesc"]) onlyNo.add(name);
  for (const name of FIELDS) {
    const seen = new Set<boolean>();
    fc.assert(
      fc.property(values(name), arbitraryEvent, fc.constantFrom(...IDENTITIES), (some, fields, identity) => {
        const view = stored().push(event(fields), { source: identity, destination: identity });
        const matcher = compileFilters([create(FlowFilterSchema, { [name]: some })], []);
        seen.add(matcher.matches(view));
        assert.equal(matcher.matches(view), matcher.matchesFlow(recordToFlow(view)));
      }),
      { numRuns: 150 },
    );
    assert.deepEqual([...seen].sort(), onlyNo.has(name) ? [false] : [false, true], name);
  }
});

Deno.test("An identity number that is given out again is a new question", () => {
  const flows = fixture({ capacity: 1 });
  const matcher = compileFilters([create(FlowFilterSchema, { sourcePod: ["default/web"] })], []);
  const answers = [3, 4, 3, 5, 3].map((i) => matcher.matches(flows.push(event({}), { source: IDENTITIES[i] })));
  assert.deepEqual(answers, [true, false, true, false, true]);
});

Deno.test("Many identities at once are told apart", () => {
  const flows = fixture({ capacity: 1024 });
  const matcher = compileFilters([create(FlowFilterSchema, { destinationPod: ["default/web-7"] })], []);
  const all = Array.from({ length: 1000 }, (_, i) => makeIdentity({ namespace: "default", pod: `web-${i}` }));
  for (let round = 0; round < 2; round++) {
    const found = all.filter((destination) => matcher.matches(flows.push(event({}), { destination })));
    assert.equal(found.length, 111);
  }
});
