/** What the kernel tests of the packetparser share: the plugin in the node's namespace of a lab, with a sink that keeps the events. */
import { inNetworkNamespace, openLibraries } from "../../ffi/testing.ts";
import { EVENT, EVENT_SIZE } from "../../src/flow/record.ts";
import type { PacketparserOptions } from "../../src/plugins/packetparser/options.ts";
import { Packetparser } from "../../src/plugins/packetparser/packetparser.ts";
import type { Loss, PluginContext } from "../../src/plugins/plugin.ts";
import { createLab, type Lab } from "../lab/lab.ts";

openLibraries();

/** The options of the agent's defaults, watching nothing. */
export const DEFAULTS: PacketparserOptions = {
  ...{ extraInterfaces: [], podLevel: false, tcAttach: "auto", eventTransport: "auto", samplingRate: 1 },
  ...{ ringBufferSize: 8 << 20, perfPages: 64, conntrackEntries: 16384 },
};

/** What a test looks at of an event. */
export interface SeenEvent {
  readonly ifindex: number;
  readonly protocol: number;
  readonly point: number;
  readonly isReply: number;
  readonly packets: number;
  readonly bytes: number;
  readonly sourcePort: number;
  readonly destinationPort: number;
  readonly wallMillis: number;
}

/** A started packetparser and what it told. */
export interface Watch {
  readonly plugin: Packetparser;
  readonly events: SeenEvent[];
  readonly names: Map<number, string>;
  readonly losses: Loss[];
  readonly log: string[];
}

/** A context that keeps everything. */
export function recordingContext(): Omit<Watch, "plugin"> & { readonly context: PluginContext } {
  const events: SeenEvent[] = [];
  const names = new Map<number, string>();
  const losses: Loss[] = [];
  const log: string[] = [];
  let offset = 0;
  const write = (message: string, properties: Record<string, unknown> = {}) =>
    void log.push(message.replace(/\{(\w+)\}/g, (_, name: string) => String(properties[name])));
  const context: PluginContext = {
    sink: {
      push(u32, at, length) {
        if (length < EVENT_SIZE) throw new Error(`An event of ${length} bytes`);
        events.push(readEvent(new DataView(u32.buffer, u32.byteOffset + at, EVENT_SIZE), offset));
      },
      setWallOffset: (seconds, nanos) => void (offset = seconds * 1000 + nanos / 1e6),
      flush() {},
    },
    interfaces: { set: (index, name) => void names.set(index, name), remove: (index) => void names.delete(index) },
    log: { debug: write, info: write, warning: write, error: write },
    onLoss: (loss) => void losses.push(loss),
  };
  return { context, events, names, losses, log };
}

function readEvent(view: DataView, offsetMillis: number): SeenEvent {
  return {
    ifindex: view.getUint32(EVENT.ifindex, true),
    protocol: view.getUint8(EVENT.protocol),
    point: view.getUint8(EVENT.observation_point),
    isReply: view.getUint8(EVENT.is_reply),
    packets: 1 + view.getUint32(EVENT.held_packets, true),
    bytes: view.getUint32(EVENT.bytes, true) + view.getUint32(EVENT.held_bytes, true),
    sourcePort: view.getUint16(EVENT.src_port, true),
    destinationPort: view.getUint16(EVENT.dst_port, true),
    wallMillis: offsetMillis + Number(view.getBigUint64(EVENT.ts_ns, true)) / 1e6,
  };
}

/** Runs a body in the node's namespace of a fresh lab. */
export async function inLab(pods: number, body: (lab: Lab) => Promise<void>): Promise<void> {
  await using lab = await createLab({ pods });
  await inNetworkNamespace(() => body(lab), lab.node.path);
}

/** Runs a body while a packetparser watches; the plugin is stopped at the end, whatever happens. */
export async function watching(
  options: Partial<PacketparserOptions>,
  body: (watch: Watch) => Promise<void>,
): Promise<void> {
  const { context, ...seen } = recordingContext();
  const plugin = new Packetparser({ ...DEFAULTS, ...options }, context);
  await plugin.start();
  try {
    await body({ plugin, ...seen });
  } finally {
    await plugin.stop();
  }
}

/** Waits until a condition holds. @throws {Error} when it does not within the time. */
export async function until(what: string, condition: () => boolean, limitMs = 5000): Promise<number> {
  const start = performance.now();
  while (!condition()) {
    if (performance.now() - start > limitMs) throw new Error(`Waited ${limitMs} ms for: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
  return performance.now() - start;
}
