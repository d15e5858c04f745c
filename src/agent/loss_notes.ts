import { create } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { type LostEvent, LostEventSchema, LostEventSource } from "../../proto/gen/flow/flow_pb.ts";
import type { FlowStore } from "../flow/store.ts";
import type { Loss } from "../plugins/plugin.ts";

/**
 * Turns losses in the kernel's ring into lost-event notes of the flow store, so that every reader learns of them. Losses
 * that are told in one turn, one for each CPU, make one note: on a large node a follower would get a hundred otherwise.
 */
export class LossNotes {
  readonly #store: Pick<FlowStore, "pushLost" | "flushBatch">;
  #waiting: Loss[] = [];

  constructor(store: Pick<FlowStore, "pushLost" | "flushBatch">) {
    this.#store = store;
  }

  /** Takes in one loss. */
  note(loss: Loss): void {
    if (this.#waiting.push(loss) === 1) queueMicrotask(() => this.#write());
  }

  #write(): void {
    const losses = this.#waiting;
    this.#waiting = [];
    const last = losses.reduce((latest, { lastNanos }) => lastNanos > latest ? lastNanos : latest, 0n);
    this.#store.pushLost(lostEvent(losses), Number(last / 1_000_000_000n), Number(last % 1_000_000_000n));
    this.#store.flushBatch();
  }
}

/** The sum of the losses; it names a CPU only if there was but one. */
function lostEvent(losses: readonly Loss[]): LostEvent {
  const first = losses.reduce((least, { firstNanos }) => firstNanos < least ? firstNanos : least, losses[0].firstNanos);
  const last = losses.reduce((most, { lastNanos }) => lastNanos > most ? lastNanos : most, losses[0].lastNanos);
  return create(LostEventSchema, {
    source: LostEventSource.PERF_EVENT_RING_BUFFER,
    numEventsLost: losses.reduce((sum, { count }) => sum + BigInt(count), 0n),
    first: timestampFromMs(Number(first / 1_000_000n)),
    last: timestampFromMs(Number(last / 1_000_000n)),
    ...(losses.length === 1 && { cpu: losses[0].cpu }),
  });
}
