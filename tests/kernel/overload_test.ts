/** More events than the reader can take: nothing is slowed, and the counts add up to the packet. */
import assert from "node:assert/strict";
import { wallOffsetNanos } from "../../ffi/system.ts";
import { EVENT } from "../../src/flow/record.ts";
import { ENTRY, SIDE, SIDE_SIZE } from "../../src/plugins/packetparser/conntrack_entry.ts";
import { KernelStats } from "../../src/plugins/packetparser/kernel_stats.ts";
import { type LoadedPrograms, loadPrograms } from "../../src/plugins/packetparser/loader.ts";
import { RingReader } from "../../src/plugins/packetparser/reader.ts";
import { ebpf, root, testWith } from "../lab/need.ts";
import { DEFAULTS } from "./harness.ts";
import type { RunRequest } from "./run_worker.ts";

const TRANSPORTS = ["ring", "perf"] as const;

/** An Ethernet frame with a TCP SYN, 10.0.0.1:4000 to 10.0.0.2:80. SYN is always reported: each run makes one event. */
const SYN = Uint8Array.from([
  ...[2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 8, 0],
  ...[0x45, 0, 0, 40, 0, 0, 0, 0, 64, 6, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2],
  ...[0x0f, 0xa0, 0, 80, 0, 0, 0, 1, 0, 0, 0, 0, 0x50, 0x02, 0xff, 0xff, 0, 0, 0, 0],
]);

/** A reader that adds up what the events tell. */
function readerOf(programs: LoadedPrograms, perEvent: () => void = () => {}) {
  const told = { packets: 0 };
  const reader = new RingReader({
    ring: programs.ring,
    wallOffset: () => wallOffsetNanos(programs.clock),
    sink: {
      push(u32, at) {
        told.packets += 1 + u32[(at + EVENT.held_packets) >>> 2];
        perEvent();
      },
      setWallOffset() {},
      flush() {},
    },
  });
  return { reader, told };
}

/** Packets that conntrack still holds back, over all entries and both directions. */
function heldBack(programs: LoadedPrograms): number {
  const keys = new Uint8Array(64 * programs.conntrack.keySize);
  const values = new Uint8Array(64 * programs.conntrack.bufferSize);
  const { count } = programs.conntrack.lookupBatch(true, keys, values);
  const view = new DataView(values.buffer);
  let packets = 0;
  for (let index = 0; index < count; index++) {
    for (const side of [0, 1]) {
      const at = index * programs.conntrack.bufferSize + ENTRY.side + side * SIDE_SIZE;
      packets += Number(view.getBigUint64(at + SIDE.held, true) >> 36n) +
        view.getUint32(at + SIDE.spilled_packets, true);
    }
  }
  return packets;
}

for (const transport of TRANSPORTS) {
  testWith(
    [root, ebpf],
    `overload_${transport}: events produced = events read + events lost, and no packet is missing`,
    async () => {
      using programs = await loadPrograms({
        ...DEFAULTS,
        eventTransport: transport,
        ringBufferSize: 65536,
        perfPages: 4,
      });
      const stats = new KernelStats(programs.stats, programs.perfLost);
      const { reader, told } = readerOf(programs);
      let reported = 0;
      const total = 20 * 5000;
      for (let round = 0; round < 20; round++) {
        programs.program("host_ingress").testRun({ data: SYN, repeat: 5000 });
        reader.drain();
        for (const { count } of stats.newLosses()) reported += count;
      }
      const { packets, events, lost, untracked_lost } = stats.totals();
      assert.equal(packets, total);
      assert.equal(events + lost, total, "each SYN asked for an event");
      assert.ok(lost > total / 2, `${lost} lost`);
      assert.equal(reader.records, events);
      assert.equal(reported, lost);
      assert.equal(stats.lostByCpu().reduce((sum, count) => sum + count), lost);
      assert.equal(told.packets + heldBack(programs) + untracked_lost, total, "what was lost is told by later events");
      assert.equal(programs.ring.corruptions, 0);
    },
  );

  testWith(
    [root, ebpf],
    `overload_${transport}: a reader at a tenth of the flood's speed keeps its turns short and its memory small`,
    async () => {
      using programs = await loadPrograms({
        ...DEFAULTS,
        eventTransport: transport,
        ringBufferSize: 1 << 20,
        perfPages: 64,
      });
      const stats = new KernelStats(programs.stats, programs.perfLost);
      // A slow sink stands for whatever keeps the agent busy: 2 µs an event.
      const { reader, told } = readerOf(programs, () => {
        for (let spin = 0; spin < 600; spin++) sink ^= spin;
      });
      let sink = 0;
      const before = Deno.memoryUsage().rss;
      const turns: number[] = [];
      let last = performance.now();
      const timer = setInterval(() => {
        turns.push(performance.now() - last);
        last = performance.now();
      }, 1);
      reader.start();
      const rounds = 600;
      const repeat = 5000;
      await flood({ fd: programs.program("host_ingress").fd, packet: SYN, rounds, repeat });
      reader.stop();
      clearInterval(timer);
      reader.drain();
      const { packets, events, lost, untracked_lost } = stats.totals();
      assert.equal(packets, rounds * repeat);
      assert.equal(reader.records, events);
      assert.equal(events + lost, packets);
      assert.equal(told.packets + heldBack(programs) + untracked_lost, packets);
      const grown = (Deno.memoryUsage().rss - before) / 2 ** 20;
      turns.sort((a, b) => a - b);
      const turn = turns[Math.floor(turns.length * 0.9)];
      console.log(
        `read ${events}, lost ${lost}, 90 % of the turns within ${turn.toFixed(1)} ms, grown ${grown.toFixed(1)} MiB, ${
          sink & 1
        }`,
      );
      assert.ok(grown < 60, `${grown} MiB`);
      assert.ok(turn < 100, `${turn} ms`);
    },
    { timeoutMs: 120_000 },
  );
}

/** Runs the flood in another thread. */
async function flood(request: RunRequest): Promise<void> {
  const worker = new Worker(import.meta.resolve("./run_worker.ts"), { type: "module" });
  try {
    await new Promise<void>((resolve, reject) => {
      worker.onmessage = ({ data }) => data === "done" && resolve();
      worker.onerror = reject;
      worker.postMessage(request);
    });
  } finally {
    worker.terminate();
  }
}
