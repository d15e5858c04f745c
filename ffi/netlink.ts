import { Errno } from "./errno.ts";
import { SystemError } from "./error.ts";
import { errno, libc } from "./libc.ts";
import { decodeAddress, decodeDefaultRoute, decodeLink, type Link, type LinkAddress, type LinkChange } from "./link.ts";
import {
  decodeMessages,
  encodeDumpRequest,
  errorOf,
  MessageFlag,
  MessageType,
  type NetlinkMessage,
} from "./netlink_message.ts";
import { CStruct } from "./struct.ts";

const AF_NETLINK = 16;
const SOCK_RAW = 3;
const SOCK_CLOEXEC = 0o2000000;
const NETLINK_ROUTE = 0;
const SOL_SOCKET = 1;
const SO_RCVBUF = 8;
const SO_RCVTIMEO = 20;
const MSG_TRUNC = 0x20;
const MSG_DONTWAIT = 0x40;
const RTMGRP_LINK = 1;

/** The kernel sends at most 32 KiB at once in a dump, and one message at a time otherwise. */
const RECEIVE_SIZE = 64 * 1024;
/** Room for some thousand changes between two polls. */
const RECEIVE_QUEUE = 1 << 20;
/** A dump is answered by the kernel at once; the limit is for a kernel that is not well. */
const DUMP_TIMEOUT_SECONDS = 2;
const DUMP_ATTEMPTS = 5;

/**
 * All objects of a kind, as messages.
 *
 * @param type a GET type of {@link MessageType}
 * @param body the fixed struct of the request
 * @throws {SystemError} when the kernel refuses, or its answer stays inconsistent because things change all the time (EINTR).
 */
export function netlinkDump(type: number, body: Uint8Array): NetlinkMessage[] {
  const fd = openSocket(0);
  try {
    const timeout = new BigInt64Array(new ArrayBuffer(16));
    timeout[0] = BigInt(DUMP_TIMEOUT_SECONDS);
    libc().setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, timeout, 16);
    for (let sequence = 1; sequence <= DUMP_ATTEMPTS; sequence++) {
      const request = encodeDumpRequest(type, sequence, body);
      if (libc().send(fd, request as BufferSource, BigInt(request.length), 0) < 0n) {
        throw new SystemError(`Send netlink request ${type}`, errno());
      }
      const messages = receiveDump(fd, type, sequence);
      if (messages !== undefined) return messages;
    }
    throw new SystemError(`Dump netlink objects of request ${type}`, Errno.EINTR);
  } finally {
    libc().close(fd);
  }
}

/** The answer of one dump, or undefined when objects changed meanwhile and the kernel says that some may be missing. */
function receiveDump(fd: number, type: number, sequence: number): NetlinkMessage[] | undefined {
  const messages: NetlinkMessage[] = [];
  let interrupted = false;
  for (;;) {
    const buffer = new Uint8Array(RECEIVE_SIZE);
    const length = Number(libc().recv(fd, buffer, BigInt(buffer.length), MSG_TRUNC));
    if (length < 0) throw new SystemError(`Receive the answer to netlink request ${type}`, errno());
    for (const message of decodeMessages(buffer.subarray(0, Math.min(length, buffer.length)))) {
      if (message.sequence !== sequence) continue;
      interrupted ||= (message.flags & MessageFlag.DUMP_INTERRUPTED) !== 0;
      if (message.type === MessageType.DONE || message.type === MessageType.ERROR) {
        const code = errorOf(message);
        if (code > 0) throw new SystemError(`Dump netlink objects of request ${type}`, code);
        return interrupted ? undefined : messages;
      }
      messages.push(message);
    }
  }
}

/** All interfaces of this network namespace. */
export function listLinks(): Link[] {
  // struct ifinfomsg, and IFLA_EXT_MASK (29) with RTEXT_FILTER_SKIP_STATS: the counters are most of an interface's bytes.
  const request = new CStruct(24).setU32(16, 8 | (29 << 16)).setU32(20, 1 << 3);
  const links: Link[] = [];
  for (const message of netlinkDump(MessageType.GETLINK, request.bytes)) {
    const change = decodeLink(message);
    if (change !== undefined) links.push(change.link);
  }
  return links;
}

/** All addresses of this network namespace's own interfaces. */
export function listAddresses(): LinkAddress[] {
  return netlinkDump(MessageType.GETADDR, new Uint8Array(8)).map(decodeAddress).filter((address) =>
    address !== undefined
  );
}

/** Interfaces that default routes leave by, IPv4 and IPv6. */
export function defaultRouteInterfaces(): Set<number> {
  return new Set(netlinkDump(MessageType.GETROUTE, new Uint8Array(12)).flatMap(decodeDefaultRoute));
}

/** Changes of interfaces since the last poll. */
export interface LinkChanges {
  readonly changes: LinkChange[];
  /** The kernel had to drop changes (ENOBUFS) or one did not fit: list the interfaces again. */
  readonly overrun: boolean;
}

/** Follows the changes of this network namespace's interfaces, from the moment that it is made. */
export class LinkMonitor implements Disposable {
  #fd: number;
  readonly #buffer = new Uint8Array(RECEIVE_SIZE);

  /**
   * @param queueBytes size of the kernel's queue; the kernel doubles it
   * @throws {SystemError} when the kernel refuses the socket.
   */
  constructor(queueBytes = RECEIVE_QUEUE) {
    this.#fd = openSocket(RTMGRP_LINK);
    libc().setsockopt(this.#fd, SOL_SOCKET, SO_RCVBUF, new Int32Array([queueBytes]), 4);
  }

  /**
   * Takes what is there, without waiting.
   *
   * @throws {SystemError} when the socket is broken or closed; make another one and list the interfaces again.
   */
  poll(): LinkChanges {
    const changes: LinkChange[] = [];
    let overrun = false;
    for (;;) {
      const length = Number(libc().recv(this.#fd, this.#buffer, BigInt(RECEIVE_SIZE), MSG_DONTWAIT | MSG_TRUNC));
      if (length < 0) {
        const code = errno();
        if (code === Errno.EAGAIN) return { changes, overrun };
        if (code === Errno.EINTR) continue;
        if (code !== Errno.ENOBUFS) throw new SystemError("Receive changes of interfaces", code);
        overrun = true;
        continue;
      }
      if (length > RECEIVE_SIZE) {
        overrun = true;
        continue;
      }
      for (const message of decodeMessages(this.#buffer.subarray(0, length))) {
        const change = decodeLink(message);
        if (change !== undefined) changes.push(change);
      }
    }
  }

  /** Closes the socket. Closing twice is harmless. */
  [Symbol.dispose](): void {
    if (this.#fd >= 0) libc().close(this.#fd);
    this.#fd = -1;
  }
}

function openSocket(groups: number): number {
  const fd = libc().socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
  if (fd < 0) throw new SystemError("Open a netlink socket", errno());
  // struct sockaddr_nl {u16 family; u16 zero; u32 port; u32 groups}
  const address = new CStruct(12).setU32(0, AF_NETLINK).setU32(8, groups);
  if (libc().bind(fd, address.bytes, 12) !== 0) {
    const code = errno();
    libc().close(fd);
    throw new SystemError("Bind a netlink socket", code);
  }
  return fd;
}
