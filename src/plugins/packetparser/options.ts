/** How the agent's programs get their place at an interface. */
export type TcAttachMode = "auto" | "tcx" | "legacy";
/** How events come from the kernel: a BPF ring buffer (kernel 5.8) or one perf ring for each CPU. */
export type EventTransport = "auto" | "ring" | "perf";

/** What the packetparser is asked to do. */
export interface PacketparserOptions {
  /** Names of the node's devices to watch, or `auto` for all of its own ones. */
  readonly extraInterfaces: readonly string[];
  /** Whether to watch pods: every veth and netkit device whose peer is in another network namespace. */
  readonly podLevel: boolean;
  /** Watch only pod interfaces whose name matches. */
  readonly podInterfaces?: RegExp | undefined;
  readonly tcAttach: TcAttachMode;
  readonly eventTransport: EventTransport;
  /** Report one in this many first packets of non-TCP connections; 1 reports all. */
  readonly samplingRate: number;
  /** Bytes of the BPF ring buffer, a power of two and a multiple of the page size. */
  readonly ringBufferSize: number;
  /** Pages of each CPU's perf ring, a power of two. */
  readonly perfPages: number;
  /** Connections that the kernel tracks at once. */
  readonly conntrackEntries: number;
  /** Folder of the compiled programs; default: `bpf/build` of this repository or of the compiled executable. */
  readonly objectDirectory?: string | undefined;
  /** Other `const volatile` knobs of the programs, by name (`bpf/knobs.h`); tests shorten lifetimes with them. */
  readonly knobs?: Readonly<Record<string, number | bigint>> | undefined;
}

/** The most pages of a perf ring: 64 MiB of 4 KiB pages for each CPU. */
const MAX_PERF_PAGES = 16384;
/** The kernel's limit for a ring buffer's size is 4 GiB less its position pages; a gigabyte is where reason ends. */
const MAX_RING_BYTES = 2 ** 30;

/**
 * Checks what a command line cannot know: the page size of this machine.
 *
 * @throws {RangeError} with the flag's name, the value and what was expected.
 */
export function checkSizes(options: PacketparserOptions, pageSize: number): void {
  const ring = options.ringBufferSize;
  if (!isPowerOfTwo(ring) || ring < pageSize || ring > MAX_RING_BYTES) {
    throw new RangeError(
      `Cannot use --ring-buffer-size ${ring}: expected a power of two from ${pageSize} (the page size) to ${MAX_RING_BYTES}`,
    );
  }
  const pages = options.perfPages;
  if (!isPowerOfTwo(pages) || pages > MAX_PERF_PAGES) {
    throw new RangeError(`Cannot use --perf-pages ${pages}: expected a power of two from 1 to ${MAX_PERF_PAGES}`);
  }
}

function isPowerOfTwo(value: number): boolean {
  return value >= 1 && Number.isInteger(Math.log2(value));
}
