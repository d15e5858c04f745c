import { create } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { LostEventSchema, LostEventSource } from "../../proto/gen/flow/flow_pb.ts";
import { EnvironmentError, oneLine, UsageError } from "../cli/errors.ts";
import { Packetparser } from "../plugins/packetparser/packetparser.ts";
import type { Loss } from "../plugins/plugin.ts";
import { logger } from "../telemetry/log.ts";
import type { AgentState } from "./agent.ts";
import { registerCaptureMetrics } from "./capture_metrics.ts";

/**
 * Starts the capture of packets and adds its state to probes and metrics.
 * @throws UsageError for sizes that this machine cannot use, EnvironmentError for a missing device, right or kernel feature.
 */
export async function startCapture(state: AgentState, stack: AsyncDisposableStack): Promise<void> {
  const { options, sink, interfaces, readiness, metrics } = state;
  const log = logger("packetparser");
  const plugin = new Packetparser(options, { sink, interfaces, log, onLoss: (loss) => noteLoss(state, loss) });
  readiness.add(plugin.name, () => {
    const { ok, detail, problems } = plugin.health();
    return { alive: ok, ready: ok, reason: detail, details: [detail, ...problems] };
  });
  try {
    await plugin.start();
  } catch (error) {
    throw error instanceof RangeError ? new UsageError(error.message) : new EnvironmentError(oneLine(error));
  }
  stack.defer(() => plugin.stop());
  registerCaptureMetrics(metrics, plugin);
  if (options.extraInterfaces.length === 0 && !options.podLevel) {
    log.warning("Nothing is watched: neither --extra-interfaces nor --pod-level was given");
  }
}

/** A loss in the kernel's ring becomes an event of the store, so that every reader learns of it. */
function noteLoss({ store }: AgentState, { cpu, count, firstNanos, lastNanos }: Loss): void {
  const lost = create(LostEventSchema, {
    source: LostEventSource.PERF_EVENT_RING_BUFFER,
    numEventsLost: BigInt(count),
    cpu,
    first: timestampFromMs(Number(firstNanos / 1_000_000n)),
    last: timestampFromMs(Number(lastNanos / 1_000_000n)),
  });
  store.pushLost(lost, Number(lastNanos / 1_000_000_000n), Number(lastNanos % 1_000_000_000n));
  store.flushBatch();
}
