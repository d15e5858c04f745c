/**
 * Prints the eBPF programs that are attached to the TC hooks of this network namespace, one a line, as `bpftool net` would:
 * by TCX (`bpf(2)`, BPF_PROG_QUERY) and as cls_bpf filters. Prints nothing when there are none.
 */
import { listLinks } from "../../../ffi/netlink.ts";
import { listTcFilters } from "../../../ffi/tc_filters.ts";

const BPF_PROG_QUERY = 16;
const TCX = { ingress: 46, egress: 47 } as const;
const MAX_PROGRAMS = 64;

const libc = Deno.dlopen("libc.so.6", {
  // long syscall(long number, int cmd, union bpf_attr *attr, unsigned int size)
  syscall: { parameters: ["i64", "i32", "buffer", "u32"], result: "i64" },
});
const BPF = { x86_64: 321n, aarch64: 280n }[Deno.build.arch];

/** Ids of the TCX programs of a device; none where the kernel has no TCX. */
function tcxPrograms(ifindex: number, direction: "ingress" | "egress"): number[] {
  const ids = new Uint32Array(MAX_PROGRAMS);
  const attributes = new DataView(new ArrayBuffer(64)); // union bpf_attr, member `query`
  attributes.setUint32(0, ifindex, true);
  attributes.setUint32(4, TCX[direction], true);
  attributes.setBigUint64(16, BigInt(Deno.UnsafePointer.value(Deno.UnsafePointer.of(ids))), true);
  attributes.setUint32(24, MAX_PROGRAMS, true);
  const failed = libc.symbols.syscall(BPF, BPF_PROG_QUERY, new Uint8Array(attributes.buffer), 64) !== 0n;
  return failed ? [] : [...ids.subarray(0, attributes.getUint32(24, true))];
}

for (const link of listLinks()) {
  for (const direction of ["ingress", "egress"] as const) {
    for (const id of tcxPrograms(link.index, direction)) console.log(`${link.name} ${direction} tcx ${id}`);
    for (const filter of listTcFilters(link.index, direction)) {
      console.log(`${link.name} ${direction} ${filter.kind} ${filter.programName}`.trim());
    }
  }
}
libc.close();
