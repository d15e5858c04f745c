import type { Endpoint, Flow } from "../../../proto/gen/flow/flow_pb.ts";
import type { Identity } from "../../identity/identity.ts";
import { SLOT } from "../record.ts";
import type { FlowView } from "../view.ts";
import type { Budget } from "./limits.ts";

/** A test of a slot of kind RECORD. */
export type RecordTest = (view: FlowView) => boolean;

/** One field of a filter, compiled for both kinds of flow. Both give the same answer about the same flow. */
export interface Predicate {
  readonly flow: (flow: Flow) => boolean;
  /**
   * The answer for records: computed from the slot, or known beforehand, or undefined when only the whole message can
   * tell.
   */
  readonly record: RecordTest | boolean | undefined;
}

/** Which end of a flow a field is about. */
export type Side = "source" | "destination";

/** Compiles a field that exists for both ends, where it is set. */
export function bothSides<T>(
  source: readonly T[],
  destination: readonly T[],
  compile: (values: readonly T[], side: Side) => Predicate,
): Predicate[] {
  const predicates: Predicate[] = [];
  if (source.length > 0) predicates.push(compile(source, "source"));
  if (destination.length > 0) predicates.push(compile(destination, "destination"));
  return predicates;
}

/**
 * Remembers a predicate's answers by identity. Keyed by the index that a slot holds, and checked by the object, because
 * the table gives an index to another identity when nobody refers to the old one: identities never change.
 */
class IdentityAnswers {
  #known: (Identity | undefined)[] = new Array(64).fill(undefined);
  #answers = new Uint8Array(64);

  ask(index: number, identity: Identity, test: (identity: Identity) => boolean): boolean {
    if (index < this.#known.length && this.#known[index] === identity) return this.#answers[index] === 1;
    return this.#learn(index, identity, test);
  }

  #learn(index: number, identity: Identity, test: (identity: Identity) => boolean): boolean {
    if (index >= this.#known.length) this.#grow(index);
    const answer = test(identity);
    this.#known[index] = identity;
    this.#answers[index] = answer ? 1 : 0;
    return answer;
  }

  #grow(index: number): void {
    const size = 2 ** Math.ceil(Math.log2(index + 1));
    const answers = new Uint8Array(size);
    answers.set(this.#answers);
    this.#answers = answers;
    this.#known = this.#known.concat(new Array(size - this.#known.length).fill(undefined));
  }
}

/** A record's answer that depends on who one end is only; it is worked out once for each identity. */
export function byIdentity(side: Side, budget: Budget, test: (identity: Identity) => boolean): RecordTest {
  const field = side === "source" ? SLOT.source_identity : SLOT.destination_identity;
  if (!budget.mayRemember()) return (view) => test(view.store.identities.get(view.u32[(view.at + field) >>> 2]));
  const answers = new IdentityAnswers();
  return (view) => {
    const index = view.u32[(view.at + field) >>> 2];
    return answers.ask(index, view.store.identities.get(index), test);
  };
}

/** One end of a flow message. */
export function endpointOf(flow: Flow, side: Side): Endpoint | undefined {
  return side === "source" ? flow.source : flow.destination;
}
