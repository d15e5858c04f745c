/**
 * A small network of namespaces that tests, the demo and the benches run the agent on.
 *
 * ```
 *   pod0 eth0     pod1 eth0     pod2 eth0            pods: 10.244.0.1N, fd00:244::1N
 *      │             │             │
 *   veth0         veth1         veth2                ┐
 *      └──────┬──────┴─────────────┘                 │ "node" namespace, where the agent runs
 *            br0  10.244.0.1, fd00:244::1            │ (routes between br0 and eth0)
 *           eth0  192.0.2.1, 2001:db8::1             ┘ the host device
 *             │
 *   client eth0   192.0.2.2, 2001:db8::2
 * ```
 *
 * Nothing touches the machine's own network: all devices are made inside the namespaces. Links carry no link-local
 * addresses but the router's, and no duplicate address detection, so the lab is silent until a test sends something (but
 * for IPv6 neighbour discovery and multicast listener reports, which are ICMPv6).
 */
import { run } from "../../scripts/process.ts";
import { type Namespace, namespace } from "./namespace.ts";
import { labPrefix, removeNamespace, sweepAbandoned } from "./owner.ts";

/** One host of the lab: a pod or the external client. */
export interface LabHost {
  readonly namespace: Namespace;
  readonly ipv4: string;
  readonly ipv6: string;
  /** Its device in the node's namespace: the host side of the veth. */
  readonly nodeDevice: string;
}

export interface Lab extends AsyncDisposable {
  readonly node: Namespace;
  /** Addresses of the node: on the bridge, and on the host device. */
  readonly nodeAddresses: { readonly pods: Addresses; readonly outside: Addresses };
  readonly pods: readonly LabHost[];
  /** A host outside the node, reached through {@link Lab.hostDevice}. */
  readonly client: LabHost;
  /** The node's device towards the client. */
  readonly hostDevice: string;
  /** Removes the lab with all processes in it. Safe to call twice. */
  dispose(): Promise<void>;
}

export interface Addresses {
  readonly ipv4: string;
  readonly ipv6: string;
}

export interface LabOptions {
  /** Number of pods. Default 3, at most 200. */
  readonly pods?: number;
}

/** Makes a lab. Needs root and iproute2. It is removed by disposal, on SIGINT and SIGTERM, and by the next lab if this process dies. */
export async function createLab(options: LabOptions = {}): Promise<Lab> {
  const count = options.pods ?? 3;
  if (!(count >= 0 && count <= 200)) throw new RangeError(`Cannot make a lab of ${count} pods: expected 0 to 200`);
  await sweepAbandoned();
  const prefix = labPrefix();
  const node = namespace(`${prefix}-node`);
  const client: LabHost = {
    namespace: namespace(`${prefix}-client`),
    ipv4: "192.0.2.2",
    ipv6: "2001:db8::2",
    nodeDevice: "eth0",
  };
  const pods = Array.from({ length: count }, (_, index): LabHost => ({
    namespace: namespace(`${prefix}-pod${index}`),
    ipv4: `10.244.0.${10 + index}`,
    ipv6: `fd00:244::${10 + index}`,
    nodeDevice: `veth${index}`,
  }));
  const all = [node, client.namespace, ...pods.map((pod) => pod.namespace)];

  let disposal: Promise<void> | undefined;
  const dispose = () =>
    disposal ??= (async () => {
      // The node first: the agent sees its devices go only after it has gone itself.
      for (const { name } of all) await removeNamespace(name);
      // Not before: Ctrl-C comes twice where a parent passes it on, and the second one would end this process half-way.
      signals.forEach((signal) => Deno.removeSignalListener(signal, onSignal));
    })();
  const signals = ["SIGINT", "SIGTERM"] as const;
  const onSignal = () => void dispose().finally(() => Deno.exit(130));
  signals.forEach((signal) => Deno.addSignalListener(signal, onSignal));

  try {
    await run("ip", ["-batch", "-"], { input: links(node, client, pods) });
    await node.ip(nodeBatch(client, pods));
    await forwarding(node);
    await client.namespace.ip(hostBatch(client, "192.0.2.1/24", "2001:db8::1/64"));
    for (const pod of pods) await pod.namespace.ip(hostBatch(pod, "10.244.0.1/24", "fd00:244::1/64"));
  } catch (error) {
    await dispose();
    throw error;
  }
  return {
    node,
    nodeAddresses: {
      pods: { ipv4: "10.244.0.1", ipv6: "fd00:244::1" },
      outside: { ipv4: "192.0.2.1", ipv6: "2001:db8::1" },
    },
    pods,
    client,
    hostDevice: client.nodeDevice,
    dispose,
    [Symbol.asyncDispose]: dispose,
  };
}

function links(node: Namespace, client: LabHost, pods: readonly LabHost[]): string {
  const hosts = [client, ...pods];
  return [
    `netns add ${node.name}`,
    ...hosts.flatMap((host) => [
      `netns add ${host.namespace.name}`,
      `link add name ${host.nodeDevice} netns ${node.name} type veth peer name eth0 netns ${host.namespace.name}`,
    ]),
  ].join("\n") + "\n";
}

function nodeBatch(client: LabHost, pods: readonly LabHost[]): string {
  return [
    "link set lo up",
    // A bridge that learns and forwards at once: no spanning tree, no multicast snooping.
    "link add br0 type bridge stp_state 0 forward_delay 0 mcast_snooping 0",
    ...["br0", client.nodeDevice, ...pods.map((pod) => pod.nodeDevice)].map((name) =>
      `link set ${name} addrgenmode none`
    ),
    ...pods.map((pod) => `link set ${pod.nodeDevice} master br0 up`),
    "link set br0 up",
    // A router asks for neighbours from its link-local address; without one it cannot forward IPv6.
    "address add fe80::1/64 dev br0 nodad",
    `address add fe80::1/64 dev ${client.nodeDevice} nodad`,
    "address add 10.244.0.1/24 dev br0",
    "address add fd00:244::1/64 dev br0 nodad",
    `link set ${client.nodeDevice} up`,
    `address add 192.0.2.1/24 dev ${client.nodeDevice}`,
    `address add 2001:db8::1/64 dev ${client.nodeDevice} nodad`,
  ].join("\n");
}

function hostBatch(host: LabHost, gateway4: string, gateway6: string): string {
  const length = (cidr: string) => cidr.slice(cidr.indexOf("/"));
  const address = (cidr: string) => cidr.slice(0, cidr.indexOf("/"));
  return [
    "link set lo up",
    "link set eth0 addrgenmode none",
    "link set eth0 up",
    `address add ${host.ipv4}${length(gateway4)} dev eth0`,
    `address add ${host.ipv6}${length(gateway6)} dev eth0 nodad`,
    `route add default via ${address(gateway4)}`,
    `route add ::/0 via ${address(gateway6)}`,
  ].join("\n");
}

/** /proc/sys/net shows the namespace of the process that opens it. */
async function forwarding(node: Namespace): Promise<void> {
  const files = ["ipv4/ip_forward", "ipv6/conf/all/forwarding"].map((file) => `/proc/sys/net/${file}`);
  await node.run("sh", ["-c", `for file in ${files.join(" ")}; do echo 1 > "$file"; done`]);
}
