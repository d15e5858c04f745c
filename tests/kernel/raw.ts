/** Sends frames as they are: through a packet socket, or into a tun device. For this thread's network namespace. */

const libc = Deno.dlopen("libc.so.6", {
  socket: { parameters: ["i32", "i32", "i32"], result: "i32" },
  sendto: { parameters: ["i32", "buffer", "usize", "i32", "buffer", "u32"], result: "isize" },
  open: { parameters: ["buffer", "i32"], result: "i32" },
  ioctl: { parameters: ["i32", "u64", "buffer"], result: "i32" },
  write: { parameters: ["i32", "buffer", "usize"], result: "isize" },
  close: { parameters: ["i32"], result: "i32" },
}).symbols;

const AF_PACKET = 17, SOCK_RAW = 3;
const O_RDWR = 2;
const TUNSETIFF = 0x4004_54ca;
const IFF_TUN = 0x0001, IFF_NO_PI = 0x1000;

/** Where frames go in. */
export interface Outlet extends Disposable {
  send(frame: Uint8Array<ArrayBuffer>): void;
}

/** Sends out of an interface (`packet(7)`). */
export function packetSocket(ifindex: number): Outlet {
  const fd = libc.socket(AF_PACKET, SOCK_RAW, 0);
  if (fd < 0) throw new Error("Cannot open a packet socket");
  // struct sockaddr_ll: family, protocol, ifindex
  const address = new Uint8Array(20);
  const view = new DataView(address.buffer);
  view.setUint16(0, AF_PACKET, true);
  view.setInt32(4, ifindex, true);
  return {
    send(frame) {
      const sent = libc.sendto(fd, frame, BigInt(frame.length), 0, address, address.length);
      if (Number(sent) !== frame.length) throw new Error(`Cannot send a frame of ${frame.length} bytes`);
    },
    [Symbol.dispose]: () => void libc.close(fd),
  };
}

/** Makes a tun device of a name; packets sent into it come in from it, without a link header. */
export function tunDevice(name: string): Outlet {
  const fd = libc.open(new TextEncoder().encode("/dev/net/tun\0"), O_RDWR);
  if (fd < 0) throw new Error("Cannot open /dev/net/tun");
  const request = new Uint8Array(40); // struct ifreq: name, flags
  new TextEncoder().encodeInto(name, request);
  new DataView(request.buffer).setInt16(16, IFF_TUN | IFF_NO_PI, true);
  if (libc.ioctl(fd, BigInt(TUNSETIFF), request) !== 0) {
    libc.close(fd);
    throw new Error(`Cannot make tun device ${name}`);
  }
  return {
    send(packet) {
      const written = libc.write(fd, packet, BigInt(packet.length));
      if (Number(written) !== packet.length) throw new Error(`Cannot send a packet of ${packet.length} bytes`);
    },
    [Symbol.dispose]: () => void libc.close(fd),
  };
}
