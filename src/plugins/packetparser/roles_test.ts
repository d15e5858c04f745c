import assert from "node:assert/strict";
import type { Link, LinkAddress } from "../../../ffi/link.ts";
import { assignRoles, type NetworkFacts, type Wanted } from "./roles.ts";

let nextIndex = 1;

function link(name: string, fields: Partial<Link> = {}): Link {
  return {
    ...{ index: nextIndex++, name, kind: "", up: true, loopback: false, hardwareType: 1 },
    ...{ master: 0, masterKind: "", peerIndex: 0, peerNamespace: undefined, address: new Uint8Array(6) },
    ...fields,
  };
}

function address(link: Link, prefixLength: number, scope: "global" | "local" = "global"): LinkAddress {
  return { index: link.index, address: Uint8Array.of(192, 0, 2, 1), prefixLength, scope };
}

/** Names and points of the interfaces that get a role. */
function roles(links: Link[], wanted: Partial<Wanted>, facts: Partial<NetworkFacts> = {}): Record<string, string> {
  const assigned = assignRoles(links, { extraInterfaces: [], podLevel: false, ...wanted }, {
    ...{ defaultRoutes: new Set(), addresses: [] },
    ...facts,
  });
  return Object.fromEntries(
    links.flatMap((link) => assigned.has(link.index) ? [[link.name, assigned.get(link.index)?.point ?? ""]] : []),
  );
}

const loopback = link("lo", { loopback: true, hardwareType: 772 });
const eth0 = link("eth0");
const pod = link("veth1", { kind: "veth", peerNamespace: 0 });

Deno.test("assignRoles() watches what is named, and nothing else", () => {
  assert.deepEqual(roles([loopback, eth0, pod], { extraInterfaces: ["eth0"] }), { eth0: "host" });
  assert.deepEqual(roles([loopback, eth0, pod], { extraInterfaces: ["lo", "nope"] }), { lo: "host" });
  assert.deepEqual(roles([loopback, eth0, pod], {}), {});
});

Deno.test("assignRoles() waits for an interface to be up", () => {
  assert.deepEqual(roles([link("eth9", { up: false })], { extraInterfaces: ["eth9", "auto"] }), {});
  assert.deepEqual(roles([{ ...pod, up: false }], { podLevel: true }), {});
});

Deno.test("assignRoles() auto takes physical devices and bundles, not what runs over them", () => {
  const bond = link("bond0", { kind: "bond" });
  const member = link("eth1", { master: bond.index, masterKind: "bond" });
  const bridge = link("br0", { kind: "bridge" });
  const port = link("eth2", { master: bridge.index, masterKind: "bridge" });
  const others = ["bridge", "vlan", "vxlan", "macvlan", "wireguard", "dummy", "ifb"].map((kind) =>
    link(kind, { kind })
  );
  assert.deepEqual(roles([loopback, eth0, bond, member, bridge, port, pod, ...others], { extraInterfaces: ["auto"] }), {
    eth0: "host",
    bond0: "host",
    eth2: "host",
  });
});

Deno.test("assignRoles() auto takes a veth that has a network or the default route behind it", () => {
  const own = link("eth0", { kind: "veth", peerNamespace: 0 });
  const auto = { extraInterfaces: ["auto"], podLevel: true };
  assert.deepEqual(roles([own, pod], auto, { defaultRoutes: new Set([own.index]) }), {
    eth0: "host",
    veth1: "endpoint",
  });
  assert.deepEqual(roles([own, pod], auto, { addresses: [address(own, 24), address(pod, 32)] }), {
    eth0: "host",
    veth1: "endpoint",
  });
  assert.deepEqual(roles([own], auto, { addresses: [address(own, 24, "local")] }), { eth0: "endpoint" });
  // Without auto an address alone makes no uplink: a pod's gateway may carry the whole network.
  const podLevel = { podLevel: true };
  assert.deepEqual(roles([own], podLevel, { addresses: [address(own, 24)] }), { eth0: "endpoint" });
  assert.deepEqual(roles([own], podLevel, { defaultRoutes: new Set([own.index]) }), {});
});

Deno.test("assignRoles() auto falls back to whatever carries the default route", () => {
  const macvlan = link("eth0", { kind: "macvlan" });
  assert.deepEqual(roles([loopback, macvlan], { extraInterfaces: ["auto"] }), {});
  assert.deepEqual(
    roles([loopback, macvlan], { extraInterfaces: ["auto"] }, { defaultRoutes: new Set([macvlan.index]) }),
    {
      eth0: "host",
    },
  );
});

Deno.test("assignRoles() pod level takes veth and netkit with the peer elsewhere", () => {
  const here = link("veth2", { kind: "veth" });
  const netkit = link("nk0", { kind: "netkit", peerNamespace: 3, hardwareType: 65534 });
  const tunnel = link("tun0", { kind: "tun", peerNamespace: 3 });
  const all = [loopback, eth0, pod, here, netkit, tunnel];
  assert.deepEqual(roles(all, { podLevel: true }), { veth1: "endpoint", nk0: "endpoint" });
  assert.deepEqual(roles(all, { podLevel: true, podInterfaces: /^nk/ }), { nk0: "endpoint" });
});

Deno.test("assignRoles() never makes one interface two things", () => {
  assert.deepEqual(roles([pod], { extraInterfaces: ["veth1"], podLevel: true }), { veth1: "host" });
});

Deno.test("assignRoles() tells headers and loopback", () => {
  const tunnel = link("wg0", { kind: "wireguard", hardwareType: 65534 });
  const wanted = { extraInterfaces: ["lo", "wg0", "eth0"], podLevel: false };
  const assigned = assignRoles([loopback, tunnel, eth0], wanted, { defaultRoutes: new Set(), addresses: [] });
  assert.deepEqual(assigned.get(loopback.index), { point: "host", ethernet: true, ingressOnly: true });
  assert.deepEqual(assigned.get(tunnel.index), { point: "host", ethernet: false, ingressOnly: false });
  assert.deepEqual(assigned.get(eth0.index), { point: "host", ethernet: true, ingressOnly: false });
});
