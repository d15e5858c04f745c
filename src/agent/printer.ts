import { create } from "@bufbuild/protobuf";
import { timestampNow } from "@bufbuild/protobuf/wkt";
import { LostEventSchema, LostEventSource } from "../../proto/gen/flow/flow_pb.ts";
import { GetFlowsResponseSchema } from "../../proto/gen/observer/observer_pb.ts";
import { compactLine, compactViewLine } from "../flow/compact.ts";
import type { FlowStore } from "../flow/store.ts";
import { FlowView, type RecordContext } from "../flow/view.ts";

/** Flows printed in one turn of the event loop: a few milliseconds of work. */
const TURN = 256;

/**
 * Writes every flow as one line, in the form of Hubble's compact output, until `signal` is aborted. A reader that is too
 * slow misses flows and is told how many: capture does not wait for a terminal.
 */
export async function printFlows(
  store: FlowStore,
  context: RecordContext,
  write: (text: string) => Promise<void>,
  signal: AbortSignal,
): Promise<void> {
  const view = new FlowView(store, context);
  let position = store.head;
  while (!signal.aborted) {
    if (position === store.head) await pushed(store, signal);
    let text = "";
    if (position < store.oldest) {
      text += `${lostLine(store.oldest - position)}\n`;
      position = store.oldest;
    }
    const end = Math.min(store.head, position + TURN);
    for (; position < end; position++) text += `${compactViewLine(view.moveTo(position))}\n`;
    if (text === "") continue;
    await write(text);
    // A write to a file may end at once: capture gets its turn all the same.
    await new Promise((resolve) => setTimeout(resolve, 0));
  }
}

/** The line of events that this reader missed. */
function lostLine(count: number): string | undefined {
  const value = create(LostEventSchema, { source: LostEventSource.HUBBLE_RING_BUFFER, numEventsLost: BigInt(count) });
  return compactLine(create(GetFlowsResponseSchema, {
    time: timestampNow(),
    responseTypes: { case: "lostEvents", value },
  }));
}

/** Writes all of a text to standard output. */
export async function writeStdout(text: string): Promise<void> {
  const bytes = new TextEncoder().encode(text);
  for (let at = 0; at < bytes.length;) at += await Deno.stdout.write(bytes.subarray(at));
}

function pushed(store: FlowStore, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      unsubscribe();
      signal.removeEventListener("abort", done);
      resolve();
    };
    const unsubscribe = store.onPush(done);
    signal.addEventListener("abort", done);
    if (signal.aborted) done();
  });
}
