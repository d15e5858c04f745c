import type { Flow, LostEvent } from "../../proto/gen/flow/flow_pb.ts";
import type { Identity } from "../identity/identity.ts";
import { SLOT, SLOT_SIZE, SlotKind } from "./record.ts";
import type { FlowStore } from "./store.ts";
import { wallNanos, wallSeconds } from "./time.ts";
import { saltWords, uuidText } from "./uuid.ts";

/** What a record leaves out because all records of an agent share it. */
export interface RecordContext {
  /** Flow.node_name. */
  readonly nodeName: string;
  /** 16 random bytes, new at each start. */
  readonly uuidSalt: Uint8Array;
  /** Flow.emitter. */
  readonly emitter: { readonly name: string; readonly version: string };
  /** Name of an interface by its index in the interface table; empty when unknown. */
  interfaceName(index: number): string;
}

/** A cursor over the slots of a store: what filters and encoders see of a flow. Made once, moved often. */
export class FlowView {
  readonly store: FlowStore;
  readonly context: RecordContext;
  readonly u8: Uint8Array;
  readonly u16: Uint16Array;
  readonly u32: Uint32Array;
  readonly data: DataView;
  /** Position in the store. */
  position = 0;
  /** Byte offset of the slot. */
  at = 0;
  readonly #salt: Uint32Array;

  constructor(store: FlowStore, context: RecordContext) {
    this.store = store;
    this.context = context;
    this.u8 = store.u8;
    this.u16 = store.u16;
    this.u32 = store.u32;
    this.data = store.view;
    this.#salt = saltWords(context.uuidSalt);
  }

  /** Points the view at a position, which must be stored: from `store.oldest` to before `store.head`. */
  moveTo(position: number): this {
    this.position = position;
    this.at = (position & this.store.mask) * SLOT_SIZE;
    return this;
  }

  get kind(): SlotKind {
    return this.u8[this.at + SLOT.kind] as SlotKind;
  }

  /** Who the source was when the packet was seen; records only. */
  sourceIdentity(): Identity {
    return this.store.identities.get(this.u32[(this.at + SLOT.source_identity) >>> 2]);
  }

  /** Who the destination was when the packet was seen; records only. */
  destinationIdentity(): Identity {
    return this.store.identities.get(this.u32[(this.at + SLOT.destination_identity) >>> 2]);
  }

  /** The flow of a slot of kind MESSAGE. */
  message(): Flow {
    return this.store.message(this.position) as Flow;
  }

  /** The event of a slot of kind LOST. */
  lost(): LostEvent {
    return this.store.message(this.position) as LostEvent;
  }

  /** Seconds since 1970; 0 for a message without time. */
  seconds(): number {
    if (this.kind === SlotKind.MESSAGE) return Number(this.message().time?.seconds ?? 0n);
    return wallSeconds(this.u32, this.at);
  }

  /** Nanoseconds within {@link seconds}. */
  nanos(): number {
    if (this.kind === SlotKind.MESSAGE) return this.message().time?.nanos ?? 0;
    return wallNanos(this.u32, this.at);
  }

  /** Flow.uuid of a record: the same for every reader. */
  uuid(): string {
    return uuidText(this.#salt, this.position);
  }

  /** Name of the interface that a record was seen on; empty when unknown. */
  interfaceName(): string {
    return this.context.interfaceName(this.u16[(this.at + SLOT.interface_index) >>> 1]);
  }
}
