import assert from "node:assert/strict";
import { InterfaceTable } from "./interfaces.ts";

Deno.test("an interface is found by its index, an unknown one is number 0 without a name", () => {
  const table = new InterfaceTable();
  for (const ifindex of [1, 65_535, 65_536, 4_000_000_000]) {
    const number = table.set(ifindex, `if${ifindex}`);
    assert.equal(table.lookup(ifindex), number);
    assert.equal(table.name(number), `if${ifindex}`);
    assert.equal(table.set(ifindex, `if${ifindex}`), number, "nothing changed");
  }
  assert.equal(table.lookup(2), 0);
  assert.equal(table.name(0), "");
  assert.equal(table.name(999), "");
});

Deno.test("a name of the past stays when the index goes to another interface", () => {
  const table = new InterfaceTable();
  const old = table.set(5, "vethold");
  table.remove(5);
  assert.equal(table.lookup(5), 0);
  const young = table.set(5, "vethnew");
  assert.notEqual(young, old);
  assert.equal(table.name(old), "vethold");
  const renamed = table.set(5, "eth5");
  assert.equal(table.name(young), "vethnew");
  assert.equal(table.name(renamed), "eth5");
});

Deno.test("numbers come round, past those of living interfaces", () => {
  const table = new InterfaceTable();
  const node = table.set(2, "eth0");
  for (let ifindex = 10; ifindex < 140_010; ifindex++) {
    table.set(ifindex, `veth${ifindex}`);
    table.remove(ifindex);
  }
  assert.equal(table.lookup(2), node);
  assert.equal(table.name(node), "eth0");
});

Deno.test("more living interfaces than numbers: the last ones go without", () => {
  const table = new InterfaceTable();
  for (let ifindex = 1; ifindex < 65_536; ifindex++) assert.notEqual(table.set(ifindex, "x"), 0);
  assert.equal(table.set(70_000, "late"), 0);
  table.remove(7);
  assert.equal(table.name(table.set(70_001, "later")), "later");
});
