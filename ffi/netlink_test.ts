import assert from "node:assert/strict";
import { SystemError } from "./error.ts";
import { defaultRouteInterfaces, LinkMonitor, listAddresses, listLinks } from "./netlink.ts";
import { interfaceIndex } from "./system.ts";
import { inNetworkNamespace, kernelTest, openLibraries, run } from "./testing.ts";

openLibraries();

kernelTest("listLinks() sees both ends of a veth and what they are ports of", () =>
  inNetworkNamespace(() => {
    run("ip", "link", "add", "br0", "type", "bridge");
    run("ip", "link", "add", "va", "type", "veth", "peer", "name", "vb");
    run("ip", "link", "set", "va", "master", "br0", "up");
    const links = new Map(listLinks().map((link) => [link.name, link]));
    assert.deepEqual([...links.keys()].sort().filter((name) => !/^ifb/.test(name)), ["br0", "lo", "va", "vb"]);
    assert.equal(links.get("va")?.kind, "veth");
    assert.equal(links.get("va")?.up, true);
    assert.equal(links.get("vb")?.up, false);
    assert.equal(links.get("va")?.peerIndex, links.get("vb")?.index);
    assert.equal(links.get("va")?.peerNamespace, undefined);
    assert.equal(links.get("va")?.master, links.get("br0")?.index);
    assert.equal(links.get("va")?.masterKind, "bridge");
    assert.equal(links.get("lo")?.loopback, true);
  }));

kernelTest("listAddresses() and defaultRouteInterfaces() see what was set", () =>
  inNetworkNamespace(() => {
    run("ip", "link", "add", "test0", "type", "bridge");
    run("ip", "addr", "add", "192.0.2.7/24", "dev", "test0");
    run("ip", "addr", "add", "2001:db8::7/64", "dev", "test0", "nodad");
    run("ip", "link", "set", "test0", "up");
    const index = interfaceIndex("test0");
    assert.deepEqual([...defaultRouteInterfaces()], []);
    run("ip", "route", "add", "default", "via", "192.0.2.1");
    assert.deepEqual([...defaultRouteInterfaces()], [index]);
    const addresses = listAddresses().filter((address) => address.index === index).map((address) => address.address);
    assert.ok(addresses.some((address) => address.join(".") === "192.0.2.7"));
    assert.ok(addresses.some((address) => address.length === 16 && address[0] === 0x20 && address[15] === 7));
  }));

kernelTest("LinkMonitor tells of interfaces that come, go up and go", () =>
  inNetworkNamespace(() => {
    using monitor = new LinkMonitor();
    assert.deepEqual(monitor.poll(), { changes: [], overrun: false });
    run("ip", "link", "add", "test0", "type", "bridge");
    run("ip", "link", "set", "test0", "up");
    run("ip", "link", "del", "test0");
    const { changes, overrun } = monitor.poll();
    assert.equal(overrun, false);
    const seen = changes.filter((change) => change.link.name === "test0").map(({ kind, link }) => `${kind} ${link.up}`);
    assert.equal(seen[0], "changed false");
    assert.ok(seen.includes("changed true"));
    assert.match(seen[seen.length - 1], /^removed/);
  }));

kernelTest("LinkMonitor says when the kernel had to drop changes", () =>
  inNetworkNamespace(() => {
    using monitor = new LinkMonitor(2048);
    for (let index = 0; index < 20; index++) run("ip", "link", "add", `test${index}`, "type", "bridge");
    assert.equal(monitor.poll().overrun, true);
    assert.equal(monitor.poll().overrun, false);
  }));

kernelTest("a closed LinkMonitor is closed once and says so", () => {
  const monitor = new LinkMonitor();
  monitor[Symbol.dispose]();
  monitor[Symbol.dispose]();
  assert.throws(() => monitor.poll(), (error: unknown) => error instanceof SystemError && error.code === "EBADF");
});
