import { Errno } from "./errno.ts";
import { check } from "./error.ts";
import type { BpfProgram } from "./bpf_program.ts";
import { withLibbpfLog } from "./bpf_log.ts";
import { libbpf } from "./libbpf.ts";
import { libc } from "./libc.ts";
import { CStruct } from "./struct.ts";
import { listTcFilters } from "./tc_filters.ts";

/** Which packets of an interface a program sees: those that come in or those that go out. */
export type TcDirection = "ingress" | "egress";

/** A program on an interface. Disposing detaches it. */
export interface TcAttachment extends Disposable {
  readonly mode: "tcx" | "legacy";
  readonly ifindex: number;
  readonly direction: TcDirection;
  /** Whether the kernel still has it there: false once the interface is gone or somebody else removed it. */
  attached(): boolean;
}

/** `enum bpf_attach_type`: BPF_TCX_INGRESS and BPF_TCX_EGRESS, Linux 6.6. */
const TCX_ATTACH_TYPE = { ingress: 46, egress: 47 } as const;
const BPF_F_BEFORE = 1 << 3;
/** An interface index that no machine reaches. */
const NO_INTERFACE = 0x7fff_ffff;

/**
 * Whether this kernel can attach by TCX: the attachment to an interface that does not exist fails for the interface (ENODEV) when it can,
 * and for the attach type (EINVAL) when it cannot.
 */
export function tcxSupported(program: BpfProgram): boolean {
  const fd = createTcxLink(program, NO_INTERFACE, "ingress");
  if (fd >= 0) libc().close(fd);
  return fd !== -Errno.EINVAL;
}

/**
 * Attaches a program by TCX, before all programs that are there. The kernel detaches it when this process ends, however it ends.
 *
 * @throws {LibbpfError} ENODEV when the interface is gone.
 */
export function attachTcx(program: BpfProgram, ifindex: number, direction: TcDirection): TcAttachment {
  const operation = `Attach ${program.name} to ${direction} of interface ${ifindex} by TCX`;
  let fd = check(operation, createTcxLink(program, ifindex, direction));
  return {
    mode: "tcx",
    ifindex,
    direction,
    attached: () => fd >= 0 && linkInterface(fd) === ifindex,
    [Symbol.dispose]() {
      if (fd >= 0) libc().close(fd);
      fd = -1;
    },
  };
}

function createTcxLink(program: BpfProgram, ifindex: number, direction: TcDirection): number {
  // struct bpf_link_create_opts (bpf/bpf.h) up to flags; no relative program means the head of the chain
  const options = new CStruct(16).setU64(0, 16).setU32(8, BPF_F_BEFORE);
  return libbpf().bpf_link_create(program.fd, ifindex, TCX_ATTACH_TYPE[direction], options.bytes);
}

/** The interface that a TCX link is on; 0 once the interface is gone. */
function linkInterface(fd: number): number {
  const info = new CStruct(64); // struct bpf_link_info (linux/bpf.h); tcx.ifindex at 16
  if (libbpf().bpf_obj_get_info_by_fd(fd, info.bytes, new Uint32Array([64])) !== 0) return 0;
  return info.getU32(16);
}

/** Where a legacy filter of ours stands: whoever has the same handle and priority is a predecessor of ours and is replaced. */
export interface FilterPlace {
  readonly handle: number;
  /** 1 is the first. */
  readonly priority: number;
}

/** `enum bpf_tc_attach_point`. */
const ATTACH_POINT = { ingress: 1, egress: 2 } as const;
const BPF_TC_F_REPLACE = 1;

/**
 * Attaches a program as a `cls_bpf` filter in direct-action mode. It stays when the process is killed; the next one replaces it.
 *
 * The clsact qdisc is made when there is none. Detaching removes the clsact only if it was made here and nothing else uses it by then.
 *
 * @throws {LibbpfError} ENODEV when the interface is gone, EINVAL when another kind of filter has the priority.
 */
export function attachLegacy(
  program: BpfProgram,
  ifindex: number,
  direction: TcDirection,
  place: FilterPlace,
): TcAttachment {
  const operation = `Attach ${program.name} to ${direction} of interface ${ifindex} as a TC filter`;
  const hook = tcHook(ifindex, direction);
  withLibbpfLog((log) => {
    const created = libbpf().bpf_tc_hook_create(hook.bytes);
    if (created !== 0 && created !== -Errno.EEXIST) check(operation, created, log());
    if (created === 0) ownQdiscs.add(ifindex);
    const options = tcOptions(place).setI32(8, program.fd).setU32(12, BPF_TC_F_REPLACE);
    const result = libbpf().bpf_tc_attach(hook.bytes, options.bytes);
    if (result !== 0) {
      removeOwnQdisc(ifindex);
      check(operation, result, log());
    }
  });
  let open = true;
  return {
    mode: "legacy",
    ifindex,
    direction,
    attached: () => open && libbpf().bpf_tc_query(hook.bytes, tcOptions(place).bytes) === 0,
    [Symbol.dispose]() {
      if (!open) return;
      open = false;
      detachLegacy(ifindex, direction, place);
      removeOwnQdisc(ifindex);
    },
  };
}

/** Removes the filter at a place, whoever put it there. False when there is none, or the interface is gone. */
export function detachLegacy(ifindex: number, direction: TcDirection, place: FilterPlace): boolean {
  return libbpf().bpf_tc_detach(tcHook(ifindex, direction).bytes, tcOptions(place).bytes) === 0;
}

/** Interfaces whose clsact this process made: both directions share it, and the last one to leave removes it. */
const ownQdiscs = new Set<number>();

function removeOwnQdisc(ifindex: number): void {
  if (!ownQdiscs.has(ifindex)) return;
  try {
    if (listTcFilters(ifindex, "ingress").length + listTcFilters(ifindex, "egress").length > 0) return;
  } catch {
    // Without the list nobody knows who else is there: an empty clsact left behind harms less than a foreign filter removed.
    return;
  }
  ownQdiscs.delete(ifindex);
  // Both directions together name the qdisc itself instead of its filters.
  libbpf().bpf_tc_hook_destroy(tcHook(ifindex, "ingress", ATTACH_POINT.ingress | ATTACH_POINT.egress).bytes);
}

function tcHook(ifindex: number, direction: TcDirection, point: number = ATTACH_POINT[direction]): CStruct {
  return new CStruct(24).setU64(0, 24).setI32(8, ifindex).setU32(12, point); // struct bpf_tc_hook (bpf/libbpf.h)
}

function tcOptions(place: FilterPlace): CStruct {
  return new CStruct(32).setU64(0, 32).setU32(20, place.handle).setU32(24, place.priority); // struct bpf_tc_opts (bpf/libbpf.h)
}
