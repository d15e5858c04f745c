import { EnvironmentError, oneLine, UsageError } from "../cli/errors.ts";
import { Packetparser } from "../plugins/packetparser/packetparser.ts";
import { logger } from "../telemetry/log.ts";
import type { AgentState } from "./agent.ts";
import { registerCaptureMetrics } from "./capture_metrics.ts";
import { LossNotes } from "./loss_notes.ts";

/**
 * Starts the capture of packets and adds its state to probes and metrics.
 * @throws UsageError for sizes that this machine cannot use, EnvironmentError for a missing device, right or kernel feature.
 */
export async function startCapture(state: AgentState, stack: AsyncDisposableStack): Promise<void> {
  const { options, sink, interfaces, readiness, metrics } = state;
  const log = logger("packetparser");
  const notes = new LossNotes(state.store);
  const plugin = new Packetparser(options, { sink, interfaces, log, onLoss: (loss) => notes.note(loss) });
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
