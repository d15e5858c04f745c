/** Numbers fit the 16 bits that a slot has for them; 0 is "unknown". */
const CAPACITY = 65_536;
/** Interface indices below this are looked up by array access; a node that churns pods reaches higher ones. */
const DIRECT = 65_536;

/**
 * Numbered interface names. A slot holds the number, so that a flow keeps the name that its interface had, also when
 * the kernel gives the index to another one later.
 *
 * A number is given out again only when all others were: after tens of thousands of other interfaces, long after the
 * last flow that holds it was overwritten.
 */
export class InterfaceTable {
  readonly #names: string[] = [""];
  /** Interface index that each number was last given to. */
  readonly #owners: number[] = [0];
  readonly #direct = new Uint16Array(DIRECT);
  readonly #far = new Map<number, number>();
  #next = 1;

  /** Number of an interface by the kernel's index; 0 when it is unknown. */
  lookup(ifindex: number): number {
    return ifindex < DIRECT ? this.#direct[ifindex] : this.#far.get(ifindex) ?? 0;
  }

  /** Says what an interface is called from now on. Returns its number. */
  set(ifindex: number, name: string): number {
    const known = this.lookup(ifindex);
    if (known !== 0 && this.#names[known] === name) return known;
    const number = this.#free();
    if (number === 0) return this.#assign(ifindex, 0);
    this.#names[number] = name;
    this.#owners[number] = ifindex;
    return this.#assign(ifindex, number);
  }

  /** Forgets an interface that is gone. Flows of the past keep its name. */
  remove(ifindex: number): void {
    if (ifindex < DIRECT) this.#direct[ifindex] = 0;
    else this.#far.delete(ifindex);
  }

  /** Name by number; empty when unknown. */
  name(number: number): string {
    return this.#names[number] ?? "";
  }

  /** The next number that no living interface has; 0 when there is none. */
  #free(): number {
    for (let tries = 1; tries < CAPACITY; tries++) {
      const number = this.#next;
      this.#next = number + 1 === CAPACITY ? 1 : number + 1;
      if (number === this.#names.length || this.lookup(this.#owners[number]) !== number) return number;
    }
    return 0;
  }

  #assign(ifindex: number, number: number): number {
    if (ifindex < DIRECT) this.#direct[ifindex] = number;
    else this.#far.set(ifindex, number);
    return number;
  }
}
