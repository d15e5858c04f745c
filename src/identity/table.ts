import type { Identity } from "./identity.ts";
import { HOST_IDENTITY, UNKNOWN_IDENTITY, WORLD_IDENTITY } from "./make.ts";

/**
 * Numbered identities with reference counts: slots of the flow store hold numbers, the table keeps what they mean while
 * a slot refers to it. A number is given out again once nobody refers to it.
 */
export class IdentityTable {
  /** Indices that always exist. */
  static readonly UNKNOWN = 0;
  static readonly WORLD = 1;
  static readonly HOST = 2;

  /** Dense: a free index holds UNKNOWN_IDENTITY, so that get() stays monomorphic. */
  #identities: Identity[] = [UNKNOWN_IDENTITY, WORLD_IDENTITY, HOST_IDENTITY];
  #references = new Uint32Array(1024).fill(1, 0, 3);
  #free: number[] = [];

  /** Takes an identity in and returns its index, with one reference held by the caller. */
  add(identity: Identity): number {
    if (identity === HOST_IDENTITY || identity === WORLD_IDENTITY) {
      const index = identity === HOST_IDENTITY ? IdentityTable.HOST : IdentityTable.WORLD;
      this.#references[index]++;
      return index;
    }
    const index = this.#free.pop() ?? this.#identities.length;
    if (index === this.#references.length) {
      const larger = new Uint32Array(2 * index);
      larger.set(this.#references);
      this.#references = larger;
    }
    this.#identities[index] = identity;
    this.#references[index] = 1;
    return index;
  }

  /** The identity of an index that the caller holds a reference to. */
  get(index: number): Identity {
    return this.#identities[index];
  }

  /** Takes another reference. */
  retain(index: number): void {
    this.#references[index]++;
  }

  /** Gives one reference back; at zero the index is free to be used again. */
  release(index: number): void {
    if (--this.#references[index] === 0) this.#drop(index);
  }

  /** Identities that somebody refers to, the three fixed ones included. */
  get size(): number {
    return this.#identities.length - this.#free.length;
  }

  #drop(index: number): void {
    this.#identities[index] = UNKNOWN_IDENTITY;
    this.#free.push(index);
  }
}
