import assert from "node:assert/strict";
import { BpfObject } from "./bpf_object.ts";
import { LibbpfError } from "./error.ts";
import { interfaceIndex } from "./system.ts";
import { attachLegacy, attachTcx, detachLegacy, type TcAttachment, tcxSupported } from "./tc.ts";
import { listTcFilters } from "./tc_filters.ts";
import { inNetworkNamespace, kernelTest, minimalObject, openLibraries, run } from "./testing.ts";

openLibraries();

const place = { handle: 0x7265, priority: 1 };

/** A loaded object and a bridge, the one kind of virtual interface that every kernel here has, in a namespace of its own. */
function withInterface(body: (object: BpfObject, ifindex: number) => void): () => Promise<void> {
  return () =>
    inNetworkNamespace(() => {
      run("ip", "link", "add", "test0", "type", "bridge");
      run("ip", "link", "set", "test0", "up");
      using object = BpfObject.open(minimalObject(), "minimal");
      object.load();
      body(object, interfaceIndex("test0"));
    });
}

/** Names of the programs of the legacy filters that tc sees on the test interface, ingress first. */
function attachedPrograms(): string[] {
  return ["ingress", "egress"].flatMap((direction) => {
    const filters: { options?: { bpf_name?: string } }[] = JSON.parse(
      run("tc", "-j", "filter", "show", "dev", "test0", direction) || "[]",
    );
    return filters.flatMap(({ options }) => options?.bpf_name?.replace(/:\[\d+\]$/, "") ?? []);
  });
}

kernelTest(
  "attachTcx() attaches and detaches",
  withInterface((object, ifindex) => {
    if (!tcxSupported(object.program("pass"))) return;
    const link = attachTcx(object.program("pass"), ifindex, "ingress");
    assert.equal(link.attached(), true);
    link[Symbol.dispose]();
    link[Symbol.dispose]();
    assert.equal(link.attached(), false);
  }),
);

kernelTest(
  "attachTcx() notices that its interface is gone",
  withInterface((object, ifindex) => {
    if (!tcxSupported(object.program("pass"))) return;
    using link = attachTcx(object.program("pass"), ifindex, "egress");
    run("ip", "link", "del", "test0");
    assert.equal(link.attached(), false);
  }),
);

kernelTest(
  "attachTcx() and attachLegacy() name an interface that is not there",
  withInterface((object) => {
    const program = object.program("pass");
    for (
      const attach of [() => attachTcx(program, 9999, "ingress"), () => attachLegacy(program, 9999, "ingress", place)]
    ) {
      assert.throws(attach, (error: unknown) => {
        assert.ok(error instanceof LibbpfError);
        assert.match(
          error.message,
          /^Attach pass to ingress of interface 9999 .*: (ENODEV: there is no such interface|EINVAL)/,
        );
        return true;
      });
    }
  }),
);

kernelTest(
  "attachLegacy() attaches to both directions and leaves nothing behind",
  withInterface((object, ifindex) => {
    const filters: TcAttachment[] = (["ingress", "egress"] as const).map((direction) =>
      attachLegacy(object.program("pass"), ifindex, direction, place)
    );
    assert.deepEqual(attachedPrograms(), ["pass", "pass"]);
    for (const filter of filters) assert.equal(filter.attached(), true);
    filters[0][Symbol.dispose]();
    assert.deepEqual(attachedPrograms(), ["pass"]);
    assert.match(run("tc", "qdisc", "show", "dev", "test0"), /clsact/);
    filters[1][Symbol.dispose]();
    filters[1][Symbol.dispose]();
    assert.deepEqual(attachedPrograms(), []);
    assert.doesNotMatch(run("tc", "qdisc", "show", "dev", "test0"), /clsact/);
  }),
);

kernelTest(
  "attachLegacy() replaces the filter that a killed process left",
  withInterface((object, ifindex) => {
    attachLegacy(object.program("pass"), ifindex, "ingress", place); // never disposed, as after SIGKILL
    using second = attachLegacy(object.program("drop"), ifindex, "ingress", place);
    assert.deepEqual(attachedPrograms(), ["drop"]);
    assert.equal(second.attached(), true);
    assert.equal(detachLegacy(ifindex, "ingress", place), true);
    assert.equal(second.attached(), false);
    assert.equal(detachLegacy(ifindex, "ingress", place), false);
  }),
);

kernelTest(
  "a clsact that was there before, or that another filter uses, stays",
  withInterface((object, ifindex) => {
    run("tc", "qdisc", "add", "dev", "test0", "clsact");
    attachLegacy(object.program("pass"), ifindex, "ingress", place)[Symbol.dispose]();
    assert.match(run("tc", "qdisc", "show", "dev", "test0"), /clsact/);
    run("tc", "qdisc", "del", "dev", "test0", "clsact");

    const ours = attachLegacy(object.program("pass"), ifindex, "ingress", place);
    attachLegacy(object.program("drop"), ifindex, "egress", { handle: 5, priority: 7 }); // somebody else's
    ours[Symbol.dispose]();
    assert.deepEqual(listTcFilters(ifindex, "egress").map(({ kind, priority }) => ({ kind, priority })), [
      { kind: "bpf", priority: 7 },
    ]);
  }),
);

kernelTest(
  "listTcFilters() tells handle, priority and the program's name",
  withInterface((object, ifindex) => {
    assert.deepEqual(listTcFilters(ifindex, "ingress"), []);
    assert.deepEqual(listTcFilters(9999, "ingress"), []);
    using _filter = attachLegacy(object.program("drop"), ifindex, "ingress", place);
    const [filter] = listTcFilters(ifindex, "ingress");
    assert.deepEqual({ ...filter, programName: "" }, { handle: 0x7265, priority: 1, kind: "bpf", programName: "" });
    assert.match(filter.programName, /^drop:\[\d+\]$/);
    assert.deepEqual(listTcFilters(ifindex, "egress"), []);
  }),
);
