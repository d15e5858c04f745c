import assert from "node:assert/strict";
import { loadOrder, moduleDependencies, normalName } from "./modules.ts";

const bytes = (text: string) => new TextEncoder().encode(text);

Deno.test("moduleDependencies() reads the list in .modinfo", () => {
  assert.deepEqual(moduleDependencies(bytes("\x7fELF\0alias=x\0depends=stp,llc\0name=bridge\0")), ["stp", "llc"]);
  assert.deepEqual(moduleDependencies(bytes("\0depends=nf-tables\0")), ["nf_tables"]);
});

Deno.test("moduleDependencies() of a module that needs none", () => {
  assert.deepEqual(moduleDependencies(bytes("\0license=GPL\0depends=\0name=veth\0")), []);
  assert.deepEqual(moduleDependencies(bytes("no such entry depends=veth")), []);
  assert.deepEqual(moduleDependencies(new Uint8Array(0)), []);
});

Deno.test("normalName() strips folder and endings", () => {
  assert.equal(normalName("kernel/net/sched/sch_ingress.ko.xz"), "sch_ingress");
  assert.equal(normalName("nf-conntrack.ko"), "nf_conntrack");
});

Deno.test("loadOrder() puts what is needed first, once", () => {
  const tree: Record<string, string[]> = { bridge: ["stp", "llc"], stp: ["llc"], llc: [], veth: [] };
  assert.deepEqual(loadOrder(["bridge", "veth", "stp"], (name) => tree[name]), ["llc", "stp", "bridge", "veth"]);
});

Deno.test("loadOrder() leaves out what is part of the kernel", () => {
  assert.deepEqual(loadOrder(["ipv6", "veth"], (name) => name === "veth" ? ["ipv6"] : undefined), ["veth"]);
});

Deno.test("loadOrder() refuses a circle", () => {
  const tree: Record<string, string[]> = { a: ["b"], b: ["a"] };
  assert.throws(() => loadOrder(["a"], (name) => tree[name]), /a needs b needs a/);
});
