import type { DescMessage } from "@bufbuild/protobuf";
import assert from "node:assert/strict";
import * as flow from "./gen/flow/flow_pb.ts";
import * as ipcache from "./gen/ipcache/ipcache_pb.ts";
import * as observer from "./gen/observer/observer_pb.ts";
import * as peer from "./gen/peer/peer_pb.ts";
import * as relay from "./gen/relay/relay_pb.ts";

/**
 * Names and numbers of Hubble 1.19.4, written down a second time: a slip in a .proto file would go unnoticed in tests
 * that use the generated code on both sides. Messages that no client exchanges with this agent are left out.
 */
const MESSAGES: [DescMessage, string][] = [
  [
    flow.FlowSchema,
    "time=1 verdict=2 drop_reason=3 ethernet=4 IP=5 l4=6 source=8 destination=9 Type=10 node_name=11 source_names=13 " +
    "destination_names=14 l7=15 reply=16 event_type=19 source_service=20 destination_service=21 traffic_direction=22 " +
    "policy_match_type=23 trace_observation_point=24 drop_reason_desc=25 is_reply=26 debug_capture_point=27 " +
    "interface=28 proxy_port=29 trace_context=30 sock_xlate_point=31 socket_cookie=32 cgroup_id=33 uuid=34 " +
    "auth_type=35 trace_reason=36 node_labels=37 file=38 tunnel=39 ip_trace_id=40 emitter=41 egress_allowed_by=21001 " +
    "ingress_allowed_by=21002 egress_denied_by=21004 ingress_denied_by=21005 policy_log=21006 aggregate=21007 " +
    "Summary=100000 extensions=150000",
  ],
  [
    flow.FlowFilterSchema,
    "source_ip=1 source_pod=2 destination_ip=3 destination_pod=4 verdict=5 event_type=6 source_fqdn=7 " +
    "destination_fqdn=8 http_status_code=9 source_label=10 destination_label=11 protocol=12 source_port=13 " +
    "destination_port=14 reply=15 source_service=16 destination_service=17 dns_query=18 source_identity=19 " +
    "destination_identity=20 http_method=21 http_path=22 tcp_flags=23 node_name=24 ip_version=25 source_workload=26 " +
    "destination_workload=27 trace_id=28 uuid=29 traffic_direction=30 http_url=31 http_header=32 drop_reason_desc=33 " +
    "source_ip_xlated=34 interface=35 node_labels=36 source_cluster_name=37 destination_cluster_name=38 " +
    "ip_trace_id=39 encrypted=40 experimental=999",
  ],
  [flow.FlowFilter_ExperimentalSchema, "cel_expression=1"],
  [flow.EndpointSchema, "ID=1 identity=2 namespace=3 labels=4 pod_name=5 workloads=6 cluster_name=7"],
  [flow.IPSchema, "source=1 destination=2 ipVersion=3 encrypted=4 source_xlated=5"],
  [flow.Layer4Schema, "TCP=1 UDP=2 ICMPv4=3 ICMPv6=4 SCTP=5 VRRP=6 IGMP=7"],
  [flow.TCPSchema, "source_port=1 destination_port=2 flags=3"],
  [flow.TCPFlagsSchema, "FIN=1 SYN=2 RST=3 PSH=4 ACK=5 URG=6 ECE=7 CWR=8 NS=9"],
  [flow.Layer7Schema, "type=1 latency_ns=2 dns=100 http=101 kafka=102"],
  [flow.DNSSchema, "query=1 ips=2 ttl=3 cnames=4 observation_source=5 rcode=6 qtypes=7 rrtypes=8"],
  [flow.HTTPSchema, "code=1 method=2 url=3 protocol=4 headers=5"],
  [flow.CiliumEventTypeSchema, "type=1 sub_type=2"],
  [flow.EventTypeFilterSchema, "type=1 match_sub_type=2 sub_type=3"],
  [flow.PolicySchema, "name=1 namespace=2 labels=3 revision=4 kind=5"],
  [flow.LostEventSchema, "source=1 num_events_lost=2 cpu=3 first=4 last=5"],
  [
    flow.AgentEventSchema,
    "type=1 unknown=100 agent_start=101 policy_update=102 endpoint_regenerate=103 endpoint_update=104 " +
    "ipcache_update=105 service_upsert=106 service_delete=107",
  ],
  [
    flow.IPCacheNotificationSchema,
    "cidr=1 identity=2 old_identity=3 host_ip=4 old_host_ip=5 encrypt_key=6 namespace=7 pod_name=8",
  ],
  [
    observer.GetFlowsRequestSchema,
    "number=1 follow=3 blacklist=5 whitelist=6 since=7 until=8 first=9 field_mask=10 experimental=999 extensions=150000",
  ],
  [observer.GetFlowsResponseSchema, "flow=1 node_status=2 lost_events=3 node_name=1000 time=1001"],
  [
    observer.ExportEventSchema,
    "flow=1 node_status=2 lost_events=3 agent_event=4 debug_event=5 node_name=1000 time=1001",
  ],
  [observer.GetAgentEventsRequestSchema, "number=1 follow=2 since=7 until=8 first=9"],
  [observer.GetAgentEventsResponseSchema, "agent_event=1 node_name=1000 time=1001"],
  [observer.GetDebugEventsResponseSchema, "debug_event=1 node_name=1000 time=1001"],
  [
    observer.ServerStatusResponseSchema,
    "num_flows=1 max_flows=2 seen_flows=3 uptime_ns=4 num_connected_nodes=5 num_unavailable_nodes=6 " +
    "unavailable_nodes=7 version=8 flows_rate=9",
  ],
  [
    observer.NodeSchema,
    "name=1 version=2 address=3 state=4 tls=5 uptime_ns=6 num_flows=7 max_flows=8 seen_flows=9",
  ],
  [observer.NamespaceSchema, "cluster=1 namespace=2"],
  [peer.ChangeNotificationSchema, "name=1 address=2 type=3 tls=4"],
  [relay.NodeStatusEventSchema, "state_change=1 node_names=2 message=3"],
];

function numbers(message: DescMessage): string[] {
  return message.fields.map((field) => `${field.name}=${field.number}`).sort();
}

for (const [message, fields] of MESSAGES) {
  Deno.test(`${message.typeName} has Hubble's names and numbers`, () => {
    assert.deepEqual(numbers(message), fields.split(" ").sort());
  });
}

Deno.test("enums have Hubble's numbers", () => {
  assert.equal(flow.Verdict.TRANSLATED, 7);
  assert.equal(flow.TraceObservationPoint.TO_ENDPOINT, 101);
  assert.equal(flow.TraceObservationPoint.TO_CRYPTO, 13);
  assert.equal(flow.TraceReason.SRV6_DECAP, 7);
  assert.equal(flow.DropReason.POLICY_DENIED, 133);
  assert.equal(flow.DropReason.DROP_PUNT_PROXY, 205);
  assert.equal(flow.AgentEventType.IPCACHE_DELETED, 10);
  assert.equal(flow.LostEventSource.HUBBLE_RING_BUFFER, 3);
  assert.equal(flow.DebugCapturePoint.DBG_CAPTURE_SNAT_POST, 11);
  assert.equal(flow.SocketTranslationPoint.SOCK_XLATE_POINT_POST_DIRECTION_REV, 4);
  assert.equal(flow.DebugEventType.DBG_LB6_LOOPBACK_SNAT_REV, 68);
  assert.equal(peer.ChangeNotificationType.PEER_UPDATED, 3);
  assert.equal(relay.NodeState.NODE_ERROR, 4);
});

Deno.test("the first version of the identity cache protocol is understood", () => {
  const first = "update_type=1 ip=2 namespace=3 pod_name=4 service_name=5 node_name=6 labels=7 workloads=8".split(" ");
  for (const field of first) assert.ok(numbers(ipcache.IpCacheUpdateSchema).includes(field), field);
  assert.ok(numbers(ipcache.IpCacheRequestSchema).includes("node_name=1"));
  assert.ok(numbers(ipcache.IpCacheBatchSchema).includes("updates=1"));
  assert.equal(ipcache.IpCache.method.streamUpdates.name, "StreamUpdates");
  assert.equal(ipcache.IpCacheUpdate_UpdateType.SHUTDOWN, 3);
});
