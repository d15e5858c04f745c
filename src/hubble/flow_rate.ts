/** ServerStatus.flows_rate: flows a second, over the last minute. */
import { SlotKind } from "../flow/record.ts";
import type { FlowStore } from "../flow/store.ts";
import type { FlowView } from "../flow/view.ts";

const WINDOW_SECONDS = 60;

/**
 * Counts the flows of the last minute. When the store holds less than a minute, the rate is over the time that it does hold.
 * @param wallMs now, in milliseconds since 1970
 */
export function flowRate(store: FlowStore, view: FlowView, wallMs: number): number {
  const now = wallMs / 1000;
  const { head, oldest } = store;
  let flows = 0;
  let first = now;
  for (let position = head - 1; position >= oldest; position--) {
    if (view.moveTo(position).kind === SlotKind.LOST) continue;
    const time = view.seconds() + view.nanos() / 1e9;
    if (time < now - WINDOW_SECONDS) return flows / WINDOW_SECONDS;
    flows++;
    first = Math.min(first, time);
  }
  // Until something was overwritten, what happened before the oldest flow is known: nothing.
  const span = oldest === 0 ? WINDOW_SECONDS : Math.min(WINDOW_SECONDS, now - first);
  return flows === 0 || span <= 0 ? 0 : flows / span;
}
