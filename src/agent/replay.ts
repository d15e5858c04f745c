import { EnvironmentError, oneLine } from "../cli/errors.ts";
import { createReplay } from "../plugins/replay/replay.ts";
import { logger } from "../telemetry/log.ts";
import type { AgentState } from "./agent.ts";

/**
 * Serves the flows of a file instead of capturing: no eBPF, no root.
 * @throws EnvironmentError when the file cannot be opened.
 */
export async function startReplay(state: AgentState, path: string, stack: AsyncDisposableStack): Promise<void> {
  const { options, store, readiness } = state;
  const log = logger("replay");
  const replay = createReplay({
    path,
    speed: options.replaySpeed ?? 0,
    store,
    report: (message) => log.info("{message}", { message }),
  });
  readiness.add(replay.name, () => {
    const { ok, detail } = replay.health();
    return { alive: ok, ready: ok, reason: detail, details: [detail] };
  });
  try {
    await replay.start();
  } catch (error) {
    throw new EnvironmentError(oneLine(error));
  }
  stack.defer(() => replay.stop());
}
