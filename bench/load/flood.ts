/**
 * Floods UDP datagrams at a fixed rate. Unless told how many connections to use, each has one of its own: every one is a
 * first packet, which the agent reports. Destinations are 198.18.0.0/15 (RFC 2544), all ports; the lab's receiver drops them without an answer.
 *
 * One `sendmmsg` carries a batch; through Deno's sockets a datagram costs several microseconds, this way under one.
 *
 *     flood.ts RATE SECONDS [CONNECTIONS]      packets per second; prints {"sent": N, "seconds": S}
 */
import { Errno, errnoName } from "../../ffi/errno.ts";
import { errno } from "../../ffi/libc.ts";

const BATCH = 64;
const [AF_INET, SOCK_DGRAM] = [2, 2];
const PAYLOAD = 64;
/** sizeof(struct mmsghdr), sizeof(struct sockaddr_in), sizeof(struct iovec) on 64-bit Linux. */
const [MMSGHDR, SOCKADDR, IOVEC] = [64, 16, 16];
const FIRST_ADDRESS = 0xc612_0000; // 198.18.0.0
const ADDRESSES = 1 << 17;

const [rate, seconds, connections = Infinity] = Deno.args.map(Number);
if (!(rate > 0 && seconds > 0)) {
  throw new RangeError(`Cannot flood "${Deno.args.join(" ")}": expected RATE SECONDS [CONNECTIONS]`);
}

const libc = Deno.dlopen("libc.so.6", {
  socket: { parameters: ["i32", "i32", "i32"], result: "i32" },
  setsockopt: { parameters: ["i32", "i32", "i32", "buffer", "u32"], result: "i32" },
  sendmmsg: { parameters: ["i32", "buffer", "u32", "i32"], result: "i32" },
  close: { parameters: ["i32"], result: "i32" },
});

const pointer = (bytes: Uint8Array<ArrayBuffer>) => Deno.UnsafePointer.value(Deno.UnsafePointer.of(bytes));
const messages = new Uint8Array(BATCH * MMSGHDR);
const names = new Uint8Array(BATCH * SOCKADDR);
const vectors = new Uint8Array(BATCH * IOVEC);
const payload = new Uint8Array(PAYLOAD);
const view = new DataView(messages.buffer);
const vectorView = new DataView(vectors.buffer);
const nameView = new DataView(names.buffer);
for (let index = 0; index < BATCH; index++) {
  nameView.setUint16(index * SOCKADDR, AF_INET, true);
  vectorView.setBigUint64(index * IOVEC, BigInt(pointer(payload)), true);
  vectorView.setBigUint64(index * IOVEC + 8, BigInt(PAYLOAD), true);
  const at = index * MMSGHDR;
  view.setBigUint64(at, BigInt(pointer(names)) + BigInt(index * SOCKADDR), true); // msg_name
  view.setUint32(at + 8, SOCKADDR, true); // msg_namelen
  view.setBigUint64(at + 16, BigInt(pointer(vectors)) + BigInt(index * IOVEC), true); // msg_iov
  view.setBigUint64(at + 24, 1n, true); // msg_iovlen
}

const fd = libc.symbols.socket(AF_INET, SOCK_DGRAM, 0);
if (fd < 0) throw new Error("Failed to open a UDP socket");
let next = 0;
/** What passes: a call cut short, and the kernel's want of memory for packets. A full socket buffer waits in the kernel. */
const PASSING: readonly number[] = [Errno.EINTR, Errno.EAGAIN, Errno.ENOMEM, Errno.ENOBUFS];
errno(); // opens the library before a value depends on it

/** Sends one batch, each packet to the next address and port. Returns how many went out; none when the kernel has to breathe. */
function batch(): number {
  for (let index = 0; index < BATCH; index++, next++) {
    const connection = next % connections;
    nameView.setUint16(index * SOCKADDR + 2, 1 + connection % 65535); // network byte order
    nameView.setUint32(index * SOCKADDR + 4, FIRST_ADDRESS + Math.floor(connection / 65535) % ADDRESSES);
  }
  const sent = libc.symbols.sendmmsg(fd, messages, BATCH, 0);
  if (sent >= 0) return sent;
  const reason = errno();
  if (!PASSING.includes(reason)) throw new Error(`Failed to send a batch of ${BATCH} datagrams: ${errnoName(reason)}`);
  return 0;
}

const begin = performance.now();
const end = begin + seconds * 1000;
let sent = 0;
for (let now = begin; now < end; now = performance.now()) {
  const due = (now - begin) * rate / 1000;
  if (sent >= due) await new Promise((resolve) => setTimeout(resolve, 1));
  // Not more than 10 ms of packets before the next look at the clock: a starved sender must still end in time.
  else {
    const limit = Math.min(due, sent + rate / 100);
    for (let count = 1; sent < limit && count > 0;) sent += count = batch();
  }
}
console.log(JSON.stringify({ sent, seconds: (performance.now() - begin) / 1000 }));
libc.symbols.close(fd);
libc.close();
