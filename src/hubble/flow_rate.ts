/** ServerStatus.flows_rate: flows a second, over the last minute. */
import { SlotKind } from "../flow/record.ts";
import type { FlowStore } from "../flow/store.ts";
import type { FlowView } from "../flow/view.ts";

const WINDOW_SECONDS = 60;
/** Slots that are looked at one by one, the newest. A millisecond or two; older ones are found by their times. */
const MAX_SCANNED = 65_536;

/**
 * Counts the flows of the last minute. When the store holds less than a minute, the rate is over the time that it does hold.
 * @param wallMs now, in milliseconds since 1970
 */
export function flowRate(store: FlowStore, view: FlowView, wallMs: number): number {
  const now = wallMs / 1000;
  const begin = now - WINDOW_SECONDS;
  const { head, oldest } = store;
  const timeAt = (position: number) => view.moveTo(position).seconds() + view.nanos() / 1e9;
  let flows = 0;
  let first = now;
  let position = head;
  for (const end = Math.max(oldest, head - MAX_SCANNED); position > end; position--) {
    if (view.moveTo(position - 1).kind === SlotKind.LOST) continue;
    const time = timeAt(position - 1);
    if (time < begin) return flows / WINDOW_SECONDS;
    flows++;
    first = Math.min(first, time);
  }
  if (position > oldest) {
    // So many flows in a minute are in order, but for some milliseconds.
    const boundary = firstAfter(oldest, position, (candidate) => timeAt(candidate) >= begin);
    flows += position - boundary;
    if (boundary > oldest) return flows / WINDOW_SECONDS;
    first = timeAt(boundary);
  }
  // Until something was overwritten, what happened before the oldest flow is known: nothing.
  const span = oldest === 0 ? WINDOW_SECONDS : Math.min(WINDOW_SECONDS, now - first);
  return flows === 0 || span <= 0 ? 0 : flows / span;
}

/** The first position from `low` to before `high` that is `inside`, all after it being so; `high` when none is. */
function firstAfter(low: number, high: number, inside: (position: number) => boolean): number {
  while (low < high) {
    const middle = Math.floor((low + high) / 2);
    if (inside(middle)) high = middle;
    else low = middle + 1;
  }
  return low;
}
