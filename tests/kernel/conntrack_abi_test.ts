import assert from "node:assert/strict";
import { BpfObject } from "../../ffi/bpf_object.ts";
import { libbpf } from "../../ffi/libbpf.ts";
import { libc } from "../../ffi/libc.ts";
import { ENTRY, ENTRY_SIZE, KEY, KEY_SIZE, SIDE, SIDE_SIZE } from "../../src/plugins/packetparser/conntrack_entry.ts";
import { ebpf, testWith } from "../lab/need.ts";

// Opened here for good: the tests watch for libraries that they leave open.
if (ebpf() === undefined) {
  libc();
  libbpf();
}

for (const variant of ["ring", "perf"]) {
  testWith([ebpf], `the collector's offsets are those of the ${variant} object's BTF`, () => {
    const path = new URL(`../../bpf/build/packetparser.${variant}.bpf.o`, import.meta.url);
    using object = BpfObject.open(Deno.readFileSync(path), "packetparser");
    for (
      const [name, size, fields] of [
        ["conntrack_key", KEY_SIZE, KEY],
        ["conntrack_entry", ENTRY_SIZE, ENTRY],
        ["conntrack_side", SIDE_SIZE, SIDE],
      ] as const
    ) {
      const struct = object.btf.struct(name);
      assert.equal(struct?.size, size, name);
      const offsets = Object.entries(fields).map(([field]) => [field, struct?.fields.get(field)?.offset]);
      assert.deepEqual(Object.fromEntries(offsets), fields, name);
    }
  });
}
