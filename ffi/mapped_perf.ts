import type { BpfMap } from "./bpf_map.ts";
import { SystemError } from "./error.ts";
import { errno, libc } from "./libc.ts";
import { Mapping } from "./mapping.ts";
import { PerfBuffer } from "./perf_buffer.ts";
import type { RecordHandler, RecordRing } from "./record_ring.ts";
import { CStruct } from "./struct.ts";
import { onlineCpus, pageSize } from "./system.ts";

/** Number of the system call perf_event_open. */
const SYS_PERF_EVENT_OPEN = Deno.build.arch === "aarch64" ? 241 : 298;
const ATTRIBUTE_SIZE = 64; // PERF_ATTR_SIZE_VER0: everything that is set here lies within
const TYPE_SOFTWARE = 1;
const SW_BPF_OUTPUT = 10;
const SAMPLE_RAW = 1 << 10;
const FLAG_WATERMARK = 1 << 14;
const OPEN_CLOEXEC = 8;
const IOC_ENABLE = 0x2400;

/** The per-CPU rings behind a perf event array, mapped into this process and read as one. */
export class MappedPerf implements RecordRing, Disposable {
  readonly #stack = new DisposableStack();
  #rings: { cpu: number; ring: PerfBuffer }[] = [];
  #first = 0;

  /**
   * Opens and maps a ring for each CPU that is online, and puts it into the map. A CPU that comes later has no ring: what
   * a program emits there fails, which the program can count.
   *
   * @param map a map of type PERF_EVENT_ARRAY
   * @param pages pages of data for each CPU, a power of two
   * @throws {SystemError} when the kernel refuses.
   */
  constructor(map: BpfMap, pages: number) {
    using stack = new DisposableStack();
    const page = pageSize();
    for (const cpu of onlineCpus()) {
      const fd = openEvent(cpu);
      stack.defer(() => libc().close(fd));
      const mapping = stack.use(new Mapping(`perf ring of CPU ${cpu}`, fd, 0, (pages + 1) * page, true));
      const ring = new PerfBuffer({ control: mapping.region(0, page), data: mapping.region(page, pages * page) });
      this.#rings.push({ cpu, ring });
      if (libc().ioctl(fd, BigInt(IOC_ENABLE), 0n) !== 0) {
        throw new SystemError(`Enable perf ring of CPU ${cpu}`, errno());
      }
      map.update(word(cpu), word(fd));
    }
    this.#stack.use(stack.move());
  }

  get pendingBytes(): number {
    return this.#rings.reduce((sum, { ring }) => sum + ring.pendingBytes, 0);
  }

  get corruptions(): number {
    return this.#rings.reduce((sum, { ring }) => sum + ring.corruptions, 0);
  }

  /** Samples that the kernel reported as lost since the start, by CPU number. */
  lost(): Map<number, number> {
    return new Map(this.#rings.map(({ cpu, ring }) => [cpu, ring.lost]));
  }

  drain(handler: RecordHandler, limit: number): number {
    let records = 0;
    const count = this.#rings.length;
    for (let turn = 0; turn < count && records < limit; turn++) {
      records += this.#rings[(this.#first + turn) % count].ring.drain(handler, limit - records);
    }
    // Another CPU is first the next time, so that a flood on one does not starve the others.
    this.#first = count === 0 ? 0 : (this.#first + 1) % count;
    return records;
  }

  /** Unmaps and closes the rings, which also takes them out of the map. Closing twice is harmless. */
  [Symbol.dispose](): void {
    this.#rings = [];
    this.#stack.dispose();
  }
}

function openEvent(cpu: number): number {
  // struct perf_event_attr (linux/perf_event.h)
  const attribute = new CStruct(ATTRIBUTE_SIZE)
    .setU32(0, TYPE_SOFTWARE) // type
    .setU32(4, ATTRIBUTE_SIZE) // size
    .setU64(8, SW_BPF_OUTPUT) // config
    .setU64(16, 1) // sample_period
    .setU64(24, SAMPLE_RAW) // sample_type
    .setU64(40, FLAG_WATERMARK) // flags
    // Nobody sleeps on the ring, so the kernel need not wake anybody: it clamps this to the size of the ring.
    .setU32(48, 0x7fff_ffff); // wakeup_watermark
  const fd = libc().syscall(
    BigInt(SYS_PERF_EVENT_OPEN),
    attribute.bytes,
    -1n, // pid: any
    BigInt(cpu),
    -1n, // group_fd: none
    BigInt(OPEN_CLOEXEC),
  );
  if (fd < 0n) throw new SystemError(`Open perf ring of CPU ${cpu}`, errno());
  return Number(fd);
}

function word(value: number): Uint8Array {
  return new Uint8Array(new Uint32Array([value]).buffer);
}
