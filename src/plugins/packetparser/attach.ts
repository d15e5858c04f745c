import { listLinks } from "../../../ffi/netlink.ts";
import {
  attachLegacy,
  attachTcx,
  detachLegacy,
  type TcAttachment,
  type TcDirection,
  tcxSupported,
} from "../../../ffi/tc.ts";
import { listTcFilters } from "../../../ffi/tc_filters.ts";
import type { LoadedPrograms } from "./loader.ts";
import type { TcAttachMode } from "./options.ts";
import type { Role } from "./roles.ts";

/**
 * Where our legacy filters stand: first in the chain, with a handle that tells them from those of others, so that a killed agent's
 * filters are replaced. The handle spells "reti".
 */
const PLACE = { handle: 0x72657469, priority: 1 } as const;

/** Both directions, ingress first: a connection's first packet to a pod leaves the node's side, so either order misses as little. */
const DIRECTIONS: readonly TcDirection[] = ["ingress", "egress"];

/** Names of the programs as the kernel keeps them: the first 15 bytes. */
const OUR_PROGRAMS = /^(endpoint|host)_(ingres|egress)/;

/** Attaches the programs to an interface. */
export interface Attacher {
  readonly mode: "tcx" | "legacy";
  /**
   * Attaches to both directions, or to neither.
   *
   * @throws {LibbpfError} when the kernel refuses.
   */
  attach(ifindex: number, role: Role): TcAttachment[];
}

/**
 * Chooses how to attach.
 *
 * @throws {Error} when TCX was asked for and this kernel has none.
 */
export function createAttacher(programs: Pick<LoadedPrograms, "program" | "loaded">, wanted: TcAttachMode): Attacher {
  const mode = chooseMode(wanted, () => tcxSupported(programs.loaded));
  return {
    mode,
    attach(ifindex, role) {
      const attached: TcAttachment[] = [];
      try {
        for (const direction of role.ingressOnly ? DIRECTIONS.slice(0, 1) : DIRECTIONS) {
          const program = programs.program(programName(role, direction));
          attached.push(
            mode === "tcx" ? attachTcx(program, ifindex, direction) : attachLegacy(program, ifindex, direction, PLACE),
          );
        }
      } catch (error) {
        for (const attachment of attached) attachment[Symbol.dispose]();
        throw error;
      }
      return attached;
    },
  };
}

/** Turns `auto` into what this kernel can do. */
export function chooseMode(wanted: TcAttachMode, tcx: () => boolean): "tcx" | "legacy" {
  if (wanted === "legacy") return "legacy";
  if (tcx()) return "tcx";
  if (wanted === "auto") return "legacy";
  throw new Error(
    "Cannot use --tc-attach tcx: this kernel has no TCX, expected Linux 6.6 or newer, use auto or legacy",
  );
}

/** Name of the program for a place, as in `bpf/packetparser.bpf.c`. */
export function programName(role: Role, direction: TcDirection): string {
  return `${role.point}_${direction}${role.ethernet ? "" : "_l3"}`;
}

/** A filter that an agent left behind. */
export interface StaleFilter {
  readonly interface: string;
  readonly direction: TcDirection;
}

/**
 * Removes the legacy filters of agents that were killed, on all interfaces of this network namespace. TCX needs no such thing.
 *
 * Those of a running agent go as well: call it when there is none. Filters of others are told apart by handle and name, and stay.
 */
export function removeStaleFilters(): StaleFilter[] {
  const removed: StaleFilter[] = [];
  for (const link of listLinks()) {
    for (const direction of DIRECTIONS) {
      const ours = listTcFilters(link.index, direction).some((filter) =>
        filter.handle === PLACE.handle && filter.priority === PLACE.priority && OUR_PROGRAMS.test(filter.programName)
      );
      if (ours && detachLegacy(link.index, direction, PLACE)) removed.push({ interface: link.name, direction });
    }
  }
  return removed;
}
