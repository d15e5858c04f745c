import type { BpfMap } from "./bpf_map.ts";
import { Mapping } from "./mapping.ts";
import type { RecordHandler, RecordRing } from "./record_ring.ts";
import { RingBuffer } from "./ring_buffer.ts";
import { pageSize } from "./system.ts";

/** The ring of a BPF ring buffer map, mapped into this process. */
export class MappedRing implements RecordRing, Disposable {
  readonly #stack = new DisposableStack();
  #ring: RingBuffer | undefined;

  /**
   * @param map a map of type RINGBUF; it must stay open as long as this
   * @throws {SystemError} when the kernel refuses the mapping.
   */
  constructor(map: BpfMap) {
    const page = pageSize();
    using stack = new DisposableStack();
    const consumer = stack.use(new Mapping(`ring ${map.name}`, map.fd, 0, page, true));
    const rest = stack.use(new Mapping(`ring ${map.name}`, map.fd, page, page + map.maxEntries, false));
    this.#ring = new RingBuffer({
      consumer: consumer.region(0, page),
      producer: rest.region(0, page),
      data: rest.region(page, map.maxEntries),
    });
    this.#stack.use(stack.move());
  }

  get pendingBytes(): number {
    return this.#ring?.pendingBytes ?? 0;
  }

  get corruptions(): number {
    return this.#ring?.corruptions ?? 0;
  }

  drain(handler: RecordHandler, limit: number): number {
    return this.#ring?.drain(handler, limit) ?? 0;
  }

  /** Unmaps the ring; `drain` finds nothing afterwards. Closing twice is harmless. */
  [Symbol.dispose](): void {
    this.#ring = undefined;
    this.#stack.dispose();
  }
}
