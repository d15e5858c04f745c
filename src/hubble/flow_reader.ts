/** Walks the flow store for one request: where it begins, what passes, what was missed, where it ends. No I/O. */
import { create } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { LostEventSchema, LostEventSource } from "../../proto/gen/flow/flow_pb.ts";
import { GetFlowsResponseSchema } from "../../proto/gen/observer/observer_pb.ts";
import type { FlowEncoder } from "../flow/encoder.ts";
import { SlotKind } from "../flow/record.ts";
import type { FlowStore } from "../flow/store.ts";
import type { FlowView } from "../flow/view.ts";
import { compareTime, type FlowQuery } from "./flow_query.ts";

/** Slots looked at in one {@link FlowReader.read}, so that the event loop gets its turn when a filter passes nothing. */
const SLOTS_PER_READ = 8192;
/** The same for filters that take long: milliseconds, looked at after each {@link SLOTS_PER_LOOK} slots. */
const READ_MS = 5;
const SLOTS_PER_LOOK = 16;
/** A reader that is overtaken again and again hears of it once in this many milliseconds. */
const LOST_INTERVAL_MS = 1000;

/** What the reader needs besides the query. */
export interface FlowReaderContext {
  readonly store: FlowStore;
  /** A cursor that nobody else uses. */
  readonly view: FlowView;
  readonly encoder: FlowEncoder;
  readonly nodeName: string;
  readonly clock: Clock;
  /** Told how many events this reader missed because the writer overtook it. */
  readonly onOvertaken?: (events: number) => void;
}

/** Time in milliseconds. */
export interface Clock {
  /** Since 1970. */
  wall(): number;
  /** Since any moment; never steps. */
  monotonic(): number;
}

export const systemClock: Clock = { wall: () => Date.now(), monotonic: () => performance.now() };

/**
 * What a {@link FlowReader.read} ended with: `more` to read at once, `grow` the buffer because the next frame does not fit in an
 * empty one, `idle` until the store has new flows, `done` for good.
 */
export type Progress = "more" | "grow" | "idle" | "done";

/** A request's position in the store. */
export class FlowReader {
  readonly #context: FlowReaderContext;
  readonly #query: FlowQuery;
  #position: number;
  /** Rewinding: matches still to be found behind #position; 0 when the beginning is found. */
  #rewind: number;
  /** Position where the request ends; Infinity for a follower. */
  #end: number;
  #matched = 0;
  #done = false;
  #lost = 0;
  #lostFirst = 0;
  #lostLast = 0;
  #lostReported = -Infinity;

  constructor(context: FlowReaderContext, query: FlowQuery) {
    this.#context = context;
    this.#query = query;
    const { head, oldest } = context.store;
    this.#end = query.follow ? Infinity : head;
    // Times are nearly, not exactly, in the order of the store: `since` looks at all of it, and skips what is older.
    const fromOldest = query.first || query.since !== undefined || (query.limit === Infinity && !query.follow);
    this.#position = fromOldest ? oldest : head;
    this.#rewind = fromOldest || query.limit === Infinity ? 0 : query.limit;
  }

  /** Position of the next slot to look at. */
  get position(): number {
    return this.#position;
  }

  /** Milliseconds until {@link read} reports what was lost, though there may be no new flow; undefined when nothing was. */
  get lostDue(): number | undefined {
    if (this.#lost === 0) return undefined;
    return Math.max(0, this.#lostReported + LOST_INTERVAL_MS - this.#context.clock.monotonic());
  }

  /** True when {@link stop} has cut a follower short. */
  get stopped(): boolean {
    return this.#query.follow && this.#end !== Infinity;
  }

  /** Lets a follower end where the store ends now. */
  stop(): void {
    this.#end = Math.min(this.#end, this.#context.store.head);
  }

  /**
   * Writes the next frames into `out`, from its beginning.
   * @returns how many bytes, and what to do next.
   */
  read(out: Uint8Array): { length: number; progress: Progress } {
    if (this.#rewind > 0 && !this.#findStart()) return { length: 0, progress: "more" };
    this.#catchUp();
    const start = this.#writeLost(out);
    if (start < 0) return { length: 0, progress: "grow" };
    if (this.#done) return { length: start, progress: "done" };
    const result = this.#copy(out, start);
    if (result.progress !== "done" || this.#lost === 0) return result;
    // Nothing is left but the count of what was lost since the last report: the next read writes it.
    this.#lostReported = -Infinity;
    return { length: result.length, progress: "more" };
  }

  #copy(out: Uint8Array, start: number): { length: number; progress: Progress } {
    const { store: { head }, view, encoder, clock } = this.#context;
    const { matcher: { matchesAll }, matcher, since, until, limit, follow, mask } = this.#query;
    const end = Math.min(head, this.#end);
    const stop = Math.min(end, this.#position + SLOTS_PER_READ);
    const filtered = !matchesAll;
    const deadline = filtered ? clock.monotonic() + READ_MS : Infinity;
    const ranged = since !== undefined || until !== undefined;
    let length = start;
    let position = this.#position;
    for (; position < stop; position++) {
      if (filtered && position % SLOTS_PER_LOOK === 0 && clock.monotonic() > deadline) break;
      const lost = view.moveTo(position).kind === SlotKind.LOST;
      if (!lost) {
        if (ranged) {
          const seconds = view.seconds();
          const nanos = view.nanos();
          if (since !== undefined && compareTime(seconds, nanos, since) < 0) continue;
          if (until !== undefined && compareTime(seconds, nanos, until) > 0) return this.#finish(length);
        }
        if (filtered && !matcher.matches(view)) continue;
      }
      const next = encoder.encodeFrame(view, out, length, mask);
      if (next < 0) {
        this.#position = position;
        return { length, progress: length === 0 ? "grow" : "more" };
      }
      length = next;
      if (!lost && ++this.#matched === limit && !follow) return this.#finish(length);
    }
    this.#position = position;
    if (position < end) return { length, progress: "more" };
    return position >= this.#end ? this.#finish(length) : { length, progress: "idle" };
  }

  #finish(length: number): { length: number; progress: Progress } {
    this.#done = true;
    return { length, progress: "done" };
  }

  /** Goes back slot by slot until enough flows match. @returns false when it has to go on in the next turn. */
  #findStart(): boolean {
    const { store: { oldest }, view, clock } = this.#context;
    const { matcher, matcher: { matchesAll } } = this.#query;
    const stop = Math.max(oldest, this.#position - SLOTS_PER_READ);
    const deadline = matchesAll ? Infinity : clock.monotonic() + READ_MS;
    let position = this.#position;
    while (this.#rewind > 0 && position > stop) {
      if (!matchesAll && position % SLOTS_PER_LOOK === 0 && clock.monotonic() > deadline) break;
      if (view.moveTo(--position).kind === SlotKind.LOST) continue;
      if (matchesAll || matcher.matches(view)) this.#rewind--;
    }
    // What was overwritten in the meantime is no loss: the request asked for what there is.
    this.#position = Math.max(position, oldest);
    if (position <= oldest) this.#rewind = 0;
    return this.#rewind === 0;
  }

  /** Jumps to the oldest slot when the writer has overtaken this reader, and counts what it missed. */
  #catchUp(): void {
    const { store: { oldest }, clock } = this.#context;
    if (this.#position >= oldest || this.#done) return;
    const missed = Math.min(oldest, this.#end) - this.#position;
    if (missed > 0) {
      this.#lostLast = clock.wall();
      if (this.#lost === 0) this.#lostFirst = this.#lostLast;
      this.#lost += missed;
      this.#context.onOvertaken?.(missed);
    }
    this.#position = oldest;
  }

  #writeLost(out: Uint8Array): number {
    if (this.lostDue !== 0) return 0;
    const { clock, encoder, nodeName } = this.#context;
    const lost = create(LostEventSchema, {
      source: LostEventSource.HUBBLE_RING_BUFFER,
      numEventsLost: BigInt(this.#lost),
      first: timestampFromMs(this.#lostFirst),
      last: timestampFromMs(this.#lostLast),
    });
    const response = create(GetFlowsResponseSchema, {
      responseTypes: { case: "lostEvents", value: lost },
      nodeName,
      time: timestampFromMs(clock.wall()),
    });
    const length = encoder.encodeResponse(response, out, 0);
    if (length < 0) return length;
    this.#lost = 0;
    this.#lostReported = clock.monotonic();
    return length;
  }
}
