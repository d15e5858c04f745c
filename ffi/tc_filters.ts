/** The legacy TC filters of an interface, read over netlink: libbpf can ask for one by its handle, but not list them. */
import { fromCString } from "./cstring.ts";
import { Errno } from "./errno.ts";
import { SystemError } from "./error.ts";
import { netlinkDump } from "./netlink.ts";
import { bytesAttribute, decodeAttributes, MessageType, type NetlinkMessage } from "./netlink_message.ts";
import { CStruct } from "./struct.ts";
import type { TcDirection } from "./tc.ts";

/** A legacy filter. */
export interface TcFilter {
  readonly handle: number;
  readonly priority: number;
  /** Kind of classifier: `bpf`, `flower`, `u32` … */
  readonly kind: string;
  /** Name that the program was attached with, for `bpf`: the first 15 bytes of the program's name and `:[id]` when libbpf attached it. */
  readonly programName: string;
}

const TCMSG_SIZE = 20;
/** TC_H_CLSACT with the minor numbers TC_H_MIN_INGRESS and TC_H_MIN_EGRESS. */
const PARENT = { ingress: 0xffff_fff2, egress: 0xffff_fff3 } as const;
const Tca = { KIND: 1, OPTIONS: 2 } as const;
const TCA_BPF_NAME = 7;

/** Filters on one direction of an interface's clsact; empty when there is no clsact or no interface. */
export function listTcFilters(ifindex: number, direction: TcDirection): TcFilter[] {
  // struct tcmsg {u8 family; u8 pad[3]; i32 ifindex; u32 handle; u32 parent; u32 info}
  const request = new CStruct(TCMSG_SIZE).setI32(4, ifindex).setU32(12, PARENT[direction]);
  try {
    return netlinkDump(MessageType.GETTFILTER, request.bytes).map(decodeTcFilter).filter((filter) =>
      filter !== undefined
    );
  } catch (error) {
    if (error instanceof SystemError && (error.errno === Errno.ENODEV || error.errno === Errno.EINVAL)) return [];
    throw error;
  }
}

/** Reads RTM_NEWTFILTER; undefined for anything else, for what is cut short, and for the chain heads that have no handle. */
export function decodeTcFilter(message: NetlinkMessage): TcFilter | undefined {
  const { type, body } = message;
  if (type !== MessageType.NEWTFILTER || body.byteLength < TCMSG_SIZE) return undefined;
  const handle = body.getUint32(8, true);
  if (handle === 0) return undefined;
  const attributes = decodeAttributes(body, TCMSG_SIZE);
  const options = attributes.get(Tca.OPTIONS);
  const name = options === undefined ? undefined : decodeAttributes(options, 0).get(TCA_BPF_NAME);
  return {
    handle,
    priority: body.getUint32(16, true) >>> 16,
    kind: fromCString(bytesAttribute(attributes.get(Tca.KIND))),
    programName: fromCString(bytesAttribute(name)),
  };
}
