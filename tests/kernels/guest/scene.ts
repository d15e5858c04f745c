/** What the guest sends in the lab, and the conversations that must be seen of it. */
import { IpProtocol, ObservationPoint, TrafficDirection } from "../../../src/flow/record.ts";
import { namespace } from "../../lab/namespace.ts";
import type { LabHost } from "../../lab/lab.ts";
import type { Running } from "../../../scripts/process.ts";
import { ECHO_PORT, type Job, ping, sendAll, serve, type TcpResult } from "../../lab/traffic.ts";
import type { Conversation } from "./expect.ts";

/** The lab as text, so that a program inside of its node can use it. */
export interface LabNames {
  readonly pods: readonly HostNames[];
  readonly client: HostNames;
}

export interface HostNames {
  readonly namespace: string;
  readonly ipv4: string;
  readonly ipv6: string;
  readonly nodeDevice: string;
}

export function hostNames(host: LabHost): HostNames {
  const { ipv4, ipv6, nodeDevice } = host;
  return { namespace: host.namespace.name, ipv4, ipv6, nodeDevice };
}

/** Datagrams in a row, and one more after the report interval, which takes along what was held back. */
const DATAGRAMS = 20;
const PAYLOAD = 100;
/** What a datagram is on the wire: Ethernet, IP and UDP headers. */
const UDP_FRAME = { ipv4: 14 + 20 + 8 + PAYLOAD, ipv6: 14 + 40 + 8 + PAYLOAD } as const;
const CONNECTIONS = 2;
const MESSAGES = 3;
const FAMILIES = ["ipv4", "ipv6"] as const;

/** Starting Deno takes seconds in the guest, minutes when the machine has other work. */
const START_TIMEOUT = 60_000;
const REPLY_TIMEOUT = 30_000;
const JOBS_TIMEOUT = 120_000;

/** The server that {@link perform} talks to. */
export function startServer(names: LabNames): Promise<Running> {
  return serve(namespace(names.pods[1].namespace), START_TIMEOUT);
}

/**
 * Sends UDP, TCP and echo requests between two pods and from the client to a pod, over IPv4 and IPv6.
 *
 * @param interfaceIndex index of a device of the node by its name
 * @param sourcePort of the datagrams; one that no former call used, so that every connection is new to the programs
 * @param reportIntervalMs what the programs were told
 */
export async function perform(
  names: LabNames,
  interfaceIndex: (device: string) => number,
  sourcePort: number,
  reportIntervalMs: number,
): Promise<Conversation[]> {
  const [first, second, client] = [names.pods[0], names.pods[1], names.client];
  const udp = (count: number) =>
    FAMILIES.map((family): Job => ({
      kind: "udp",
      address: second[family],
      port: ECHO_PORT,
      count,
      size: PAYLOAD,
      reply: true,
      gapMs: 0,
      sourcePort,
      replyMs: REPLY_TIMEOUT,
    }));
  const tcp = (reset: boolean) =>
    FAMILIES.map((family): Job => ({
      kind: "tcp",
      address: second[family],
      port: ECHO_PORT,
      connections: reset ? 1 : CONNECTIONS,
      messages: MESSAGES,
      size: 10,
      reset,
      mayFail: false,
    }));
  const pause: Job = { kind: "wait", ms: reportIntervalMs };

  const before = await retransmissions([first, second]);
  const datagrams = [...udp(DATAGRAMS), pause, ...udp(1)];
  const results = await sendAll(namespace(first.namespace), [...tcp(false), ...tcp(true), ...datagrams], JOBS_TIMEOUT);
  await sendAll(namespace(client.namespace), datagrams, JOBS_TIMEOUT);
  for (const family of FAMILIES) await ping(namespace(first.namespace), second[family]);
  const exact = await retransmissions([first, second]) === before;

  return FAMILIES.flatMap((family, index) => {
    const where = (sender: HostNames) => ({ family, sender, receiver: second, interfaceIndex });
    const conversations: Conversation[] = [];
    for (const reset of [false, true]) {
      const { sourcePorts } = results[index + (reset ? FAMILIES.length : 0)] as TcpResult;
      for (const port of sourcePorts) {
        const seen = views(reset ? "reset TCP" : "TCP", IpProtocol.TCP, port, ECHO_PORT, where(first));
        conversations.push(...seen.map((view) => ({ ...view, tcp: { messages: MESSAGES, reset, exact } })));
      }
    }
    for (const sender of [first, client]) {
      const packets = { forward: DATAGRAMS + 1, reverse: DATAGRAMS + 1 };
      const seen = views("UDP", IpProtocol.UDP, sourcePort, ECHO_PORT, where(sender));
      conversations.push(...seen.map((view) => ({ ...view, packets, frameBytes: UDP_FRAME[family] })));
    }
    const seen = views("echo", family === "ipv4" ? IpProtocol.ICMP : IpProtocol.ICMPV6, 0, 0, where(first));
    conversations.push(...seen.map((view) => ({ ...view, packets: { forward: 1, reverse: 1 } })));
    return conversations;
  });
}

/** One connection as the interfaces of its two ends see it: its direction is outward at the sender's and inward at the receiver's. */
function views(
  what: string,
  protocol: number,
  sourcePort: number,
  destinationPort: number,
  where: {
    family: "ipv4" | "ipv6";
    sender: HostNames;
    receiver: HostNames;
    interfaceIndex: (device: string) => number;
  },
): Conversation[] {
  const { family, sender, receiver, interfaceIndex } = where;
  const isPod = sender.nodeDevice !== "eth0";
  const common = {
    protocol,
    initiator: { address: sender[family], port: sourcePort },
    responder: { address: receiver[family], port: destinationPort },
  };
  const name = (device: string) => `${what} over ${family === "ipv4" ? "IPv4" : "IPv6"} at ${device}`;
  const P = ObservationPoint;
  return [
    {
      ...common,
      name: name(sender.nodeDevice),
      ifindex: interfaceIndex(sender.nodeDevice),
      direction: isPod ? TrafficDirection.EGRESS : TrafficDirection.INGRESS,
      points: isPod
        ? { forward: P.FROM_ENDPOINT, reverse: P.TO_ENDPOINT }
        : { forward: P.FROM_NETWORK, reverse: P.TO_NETWORK },
    },
    {
      ...common,
      name: name(receiver.nodeDevice),
      ifindex: interfaceIndex(receiver.nodeDevice),
      direction: TrafficDirection.INGRESS,
      points: { forward: P.TO_ENDPOINT, reverse: P.FROM_ENDPOINT },
    },
  ];
}

/** TCP segments that these hosts sent again since they exist; a slow guest may do that, and then counts are no longer fixed. */
async function retransmissions(hosts: readonly HostNames[]): Promise<number> {
  let total = 0;
  for (const host of hosts) {
    const { stdout } = await namespace(host.namespace).run("cat", ["/proc/net/snmp"]);
    const [keys, values] = stdout.split("\n").filter((line) => line.startsWith("Tcp:")).map((line) => line.split(" "));
    total += Number(values[keys.indexOf("RetransSegs")]);
  }
  return total;
}
