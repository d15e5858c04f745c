import { releaseUnusedMemory } from "../../ffi/resident.ts";
import { oneLine } from "../cli/errors.ts";
import { logger } from "../telemetry/log.ts";

const log = logger("memory");

/** V8's collector, which `--expose-gc` adds (`scripts/permissions.ts`). */
type Collect = (options: { type: "major"; execution: "sync"; flavor: "last-resort" }) => void;

/**
 * Collects what the start left behind, compiled code that has run for the last time included. It holds the event loop for
 * some 80 ms, so it is for the time before anything is captured. Does nothing without `--expose-gc`.
 */
export function collectStartGarbage(): void {
  const { gc } = globalThis as { gc?: Collect };
  gc?.({ type: "major", execution: "sync", flavor: "last-resort" });
}

/** Gives the kernel back what only the start needed. Its failure costs memory and nothing else. */
export function releaseStartMemory(): void {
  try {
    releaseUnusedMemory();
  } catch (error) {
    log.debug("Cannot give memory back: {error}", { error: oneLine(error) });
  }
}
