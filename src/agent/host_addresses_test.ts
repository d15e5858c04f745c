import assert from "node:assert/strict";
import { IpCache } from "../identity/ip_cache.ts";
import { HOST_IDENTITY } from "../identity/make.ts";
import { IdentityTable } from "../identity/table.ts";
import { HostAddresses, interfaceAddresses } from "./host_addresses.ts";

Deno.test("HostAddresses.refresh() adds new addresses and takes back lost ones", () => {
  const cache = new IpCache(new IdentityTable());
  let addresses = ["10.0.0.1", "fd00::1"];
  const host = new HostAddresses(cache, () => addresses, (error) => assert.fail(String(error)));
  host.refresh();
  assert.equal(cache.get("10.0.0.1"), HOST_IDENTITY);
  assert.equal(cache.get("fd00::1"), HOST_IDENTITY);
  addresses = ["fd00::1", "10.0.0.2"];
  host.refresh();
  assert.equal(cache.get("10.0.0.1"), undefined);
  assert.equal(cache.get("10.0.0.2"), HOST_IDENTITY);
  assert.equal(cache.size, 2);
});

Deno.test("HostAddresses.refresh() keeps what it knew when reading fails", () => {
  const cache = new IpCache(new IdentityTable());
  let fail = false;
  const errors: unknown[] = [];
  const host = new HostAddresses(cache, () => {
    if (fail) throw new Error("no netlink");
    return ["10.0.0.1"];
  }, (error) => errors.push(error));
  host.refresh();
  fail = true;
  host.refresh();
  assert.equal(errors.length, 1);
  assert.equal(cache.get("10.0.0.1"), HOST_IDENTITY);
});

Deno.test("interfaceAddresses() knows all of loopback, where there is one, and no zones", () => {
  const cache = new IpCache(new IdentityTable());
  const interfaces = [{ address: "127.0.0.1" }, { address: "fe80::1%eth0" }];
  const host = new HostAddresses(cache, () => interfaceAddresses(() => interfaces), (error) => assert.fail(`${error}`));
  host.refresh();
  const words = (d: number) => Uint32Array.of(0, 0, 0xffff0000, d);
  assert.equal(cache.table.get(cache.lookup(words(0x3500007f), 0)), HOST_IDENTITY, "127.0.0.53");
  assert.notEqual(cache.table.get(cache.lookup(words(0x35000080), 0)), HOST_IDENTITY, "128.0.0.53");
  assert.equal(cache.get("fe80::1"), HOST_IDENTITY);
  interfaces.length = 0;
  host.refresh();
  assert.equal(cache.size, 0);
});

Deno.test("interfaceAddresses() finds the loopback address of this machine", () => {
  assert.ok(interfaceAddresses().includes("127.0.0.1"));
});
