import type { Flow, LostEvent } from "../../proto/gen/flow/flow_pb.ts";
import type { IdentityTable } from "../identity/table.ts";
import { ETHERNET_SIZE, EVENT, EVENT_SIZE, EventFlag, SLOT, SLOT_SIZE, SlotKind } from "./record.ts";

/** 2.5 GiB of slots; what a typed array of this runtime surely holds. */
const MAX_CAPACITY = 1 << 24;
const EVENT_WORDS = EVENT_SIZE >>> 2;

/** What {@link FlowStore} needs of the identity table. */
export type IdentityReferences = Pick<IdentityTable, "get" | "retain" | "release">;

/**
 * The recent flows: one preallocated buffer of fixed-size slots, overwritten in a circle.
 *
 * Positions count all flows ever pushed and are never reused; a reader is nothing but a position. One at or below
 * {@link oldest} − 1 has been overwritten, so a reader that was lapped knows exactly how many flows it missed.
 */
export class FlowStore {
  readonly capacity: number;
  /** `position & mask` is the slot: right for every position below 2^53, because `&` takes it modulo 2^32. */
  readonly mask: number;
  readonly identities: IdentityReferences;
  /** The slots, of {@link SLOT_SIZE} bytes each, see `record.ts`. */
  readonly u8: Uint8Array;
  readonly u16: Uint16Array;
  readonly u32: Uint32Array;
  readonly view: DataView;
  // In a typed array, because a field that outgrows a small integer would be boxed anew at each increment.
  readonly #positions = new Float64Array(2);
  readonly #messages: (Flow | LostEvent | undefined)[] = [];
  readonly #listeners = new Set<() => void>();

  /** @throws {RangeError} when the capacity is no power of two. */
  constructor(options: { capacity: number; identities: IdentityReferences }) {
    const { capacity, identities } = options;
    if (!Number.isInteger(capacity) || capacity < 1 || capacity > MAX_CAPACITY || (capacity & (capacity - 1)) !== 0) {
      throw new RangeError(`Cannot store ${capacity} flows: expected a power of two, at most ${MAX_CAPACITY}`);
    }
    const buffer = new ArrayBuffer(capacity * SLOT_SIZE);
    this.capacity = capacity;
    this.mask = capacity - 1;
    this.identities = identities;
    this.u8 = new Uint8Array(buffer);
    this.u16 = new Uint16Array(buffer);
    this.u32 = new Uint32Array(buffer);
    this.view = new DataView(buffer);
  }

  /** Position of the next push; how many were pushed so far. */
  get head(): number {
    return this.#positions[0];
  }

  /** The oldest position that is still stored; equal to {@link head} when nothing is. */
  get oldest(): number {
    return Math.max(0, this.#positions[0] - this.capacity);
  }

  /**
   * Copies an event out of a ring. Returns its position.
   *
   * @param source words of the ring, as the kernel wrote them
   * @param at byte offset of the event in `source`, a multiple of four
   * @param length bytes of the event: {@link EVENT_SIZE}, more when a tail follows
   * @param wallOffsetSeconds CLOCK_REALTIME − CLOCK_BOOTTIME, whole seconds, below 2^32
   * @param wallOffsetNanos the rest of it, 0..999,999,999
   */
  pushRecord(
    source: Uint32Array,
    at: number,
    length: number,
    wallOffsetSeconds: number,
    wallOffsetNanos: number,
    sourceIdentity: number,
    destinationIdentity: number,
    interfaceIndex: number,
  ): number {
    const position = this.#positions[0];
    const slot = position & this.mask;
    const { u32 } = this;
    const word = slot * (SLOT_SIZE >>> 2);
    const from = at >>> 2;
    // Before the release: an identity that only the overwritten slot held must not be given away.
    this.identities.retain(sourceIdentity);
    this.identities.retain(destinationIdentity);
    this.#release(slot);
    for (let i = 0; i < EVENT_WORDS; i++) u32[word + i] = source[from + i];
    u32[word + SLOT.source_identity / 4] = sourceIdentity;
    u32[word + SLOT.destination_identity / 4] = destinationIdentity;
    u32[word + SLOT.wall_offset_seconds / 4] = wallOffsetSeconds;
    u32[word + SLOT.wall_offset_nanos / 4] = wallOffsetNanos;
    u32[word + SLOT.kind / 4] = SlotKind.RECORD | (interfaceIndex << 16);
    const flags = (word << 2) + EVENT.event_flags;
    if ((this.u8[flags] & EventFlag.ETHERNET) !== 0) {
      if (length >= EVENT_SIZE + ETHERNET_SIZE) {
        u32[word + SLOT.ethernet_destination / 4] = source[from + EVENT_WORDS];
        u32[word + SLOT.ethernet_destination / 4 + 1] = source[from + EVENT_WORDS + 1];
        u32[word + SLOT.ethernet_destination / 4 + 2] = source[from + EVENT_WORDS + 2];
      } else this.u8[flags] &= ~EventFlag.ETHERNET;
    }
    this.#positions[0] = position + 1;
    return position;
  }

  /** Stores a whole flow, as a replay has them. Returns its position. */
  pushMessage(flow: Flow): number {
    return this.#pushSide(SlotKind.MESSAGE, flow, 0, 0);
  }

  /** Stores the news that events were lost at the given wall-clock time. Returns its position. */
  pushLost(lost: LostEvent, seconds: number, nanos: number): number {
    return this.#pushSide(SlotKind.LOST, lost, seconds, nanos);
  }

  /** What a slot of kind MESSAGE or LOST stands for. */
  message(position: number): Flow | LostEvent | undefined {
    return this.#messages[position & this.mask];
  }

  /** Calls `listener` at every {@link flushBatch} that follows a push, until the returned function is called. */
  onPush(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Wakes the listeners if anything was pushed since the last call: once a batch, not once a flow. */
  flushBatch(): void {
    if (this.#positions[0] === this.#positions[1]) return;
    this.#positions[1] = this.#positions[0];
    for (const listener of this.#listeners) listener();
  }

  #pushSide(kind: SlotKind, message: Flow | LostEvent, seconds: number, nanos: number): number {
    const position = this.#positions[0];
    const slot = position & this.mask;
    const word = slot * (SLOT_SIZE >>> 2);
    this.#release(slot);
    this.u32.fill(0, word, word + (SLOT_SIZE >>> 2));
    this.u32[word + SLOT.wall_offset_seconds / 4] = seconds;
    this.u32[word + SLOT.wall_offset_nanos / 4] = nanos;
    this.u8[(word << 2) + SLOT.kind] = kind;
    this.#messages[slot] = message;
    this.#positions[0] = position + 1;
    return position;
  }

  /** Lets go of what a slot refers to before it is overwritten. */
  #release(slot: number): void {
    const at = slot * SLOT_SIZE;
    const kind = this.u8[at + SLOT.kind];
    if (kind === SlotKind.RECORD) {
      this.identities.release(this.u32[(at + SLOT.source_identity) >>> 2]);
      this.identities.release(this.u32[(at + SLOT.destination_identity) >>> 2]);
    } else if (kind !== SlotKind.EMPTY) this.#messages[slot] = undefined;
  }
}
