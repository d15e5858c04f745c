/**
 * What the capture costs when nothing happens, and how long an event waits for the reader.
 *
 *     deno run -A bench/capture_delay.ts [--seconds N] [--pods N]
 *
 * Runs the packetparser alone in the node's namespace of a lab, without gRPC and metrics: first idle, then with a ping now and then,
 * at times that have nothing to do with the reader's.
 */
import { parseArgs } from "node:util";
import { Clock, clockNanos } from "../ffi/system.ts";
import { inNetworkNamespace } from "../ffi/testing.ts";
import { DEFAULTS } from "../tests/kernel/harness.ts";
import { EVENT } from "../src/flow/record.ts";
import { Packetparser } from "../src/plugins/packetparser/packetparser.ts";
import { createLab } from "../tests/lab/lab.ts";
import { cpuSeconds } from "./load/measure.ts";

const { values } = parseArgs({
  options: { seconds: { type: "string", default: "20" }, pods: { type: "string", default: "10" } },
});
const seconds = Number(values.seconds);
await using lab = await createLab({ pods: Number(values.pods) });
const delays: number[] = [];
const quiet = () => {};
const plugin = new Packetparser({ ...DEFAULTS, extraInterfaces: ["auto"], podLevel: true, conntrackEntries: 262_144 }, {
  sink: {
    push(u32, at) {
      const word = (at + EVENT.ts_ns) >>> 2;
      const stamp = u32[word + 1] * 2 ** 32 + u32[word];
      delays.push((Number(clockNanos(Clock.BOOTTIME)) - stamp) / 1e6);
    },
    setWallOffset: quiet,
    flush: quiet,
  },
  interfaces: { set: quiet, remove: quiet },
  log: { debug: quiet, info: quiet, warning: console.warn, error: console.error },
  onLoss: console.warn,
});
await inNetworkNamespace(async () => {
  const started = performance.now();
  await plugin.start();
  console.log(
    `start: ${
      (performance.now() - started).toFixed(0)
    } ms to load, and to attach to a host device and the first of ${values.pods} pods`,
  );
  while (plugin.stats()?.interfaces.some(({ attached }) => !attached)) await sleep(10);
  console.log(`all attached after ${(performance.now() - started).toFixed(0)} ms`);
  await sleep(1000);
  const before = cpuSeconds(Deno.pid);
  await sleep(seconds * 1000);
  const idle = 100 * (cpuSeconds(Deno.pid) - before) / seconds;
  console.log(`idle: ${idle.toFixed(2)} % of a core over ${seconds} s`);

  delays.length = 0;
  const [from, to] = lab.pods;
  // Conntrack holds the further echoes of one ping back, so each is a ping of its own.
  const until = performance.now() + seconds * 1000;
  while (performance.now() < until) {
    await from.namespace.run("ping", ["-n", "-q", "-c", "1", to.ipv4]);
    await sleep(Math.random() * 100);
  }
  delays.sort((a, b) => a - b);
  const at = (share: number) => delays[Math.floor(share * (delays.length - 1))].toFixed(1);
  console.log(
    `delay: p50 ${at(0.5)} ms, p90 ${at(0.9)} ms, p99 ${at(0.99)} ms, longest ${at(1)} ms of ${delays.length} events`,
  );
  const stopping = performance.now();
  await plugin.stop();
  console.log(`stop: ${(performance.now() - stopping).toFixed(0)} ms`);
}, lab.node.path);

function sleep(milliseconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}
