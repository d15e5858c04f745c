/**
 * Hash tables from addresses to positive numbers: open addressing with linear probing over typed arrays, at most half
 * full, no tombstones. A look-up touches one or two cache lines and allocates nothing. Value 0 means absent.
 */

const FIRST_CAPACITY = 64;

/** Spreads every input bit over the word (the 32-bit finaliser of MurmurHash3, by Austin Appleby). */
function mix(h: number): number {
  h = Math.imul(h ^ h >>> 16, 0x85ebca6b);
  h = Math.imul(h ^ h >>> 13, 0xc2b2ae35);
  return h ^ h >>> 16;
}

function hash4(a: number, b: number, c: number, d: number): number {
  return mix(a ^ Math.imul(b, 0x9e3779b1) ^ Math.imul(mix(c ^ Math.imul(d, 0x85ebca77)), 0xc2b2ae3d));
}

/** Keys of one word: IPv4 addresses. */
export class WordTable {
  #keys = new Uint32Array(FIRST_CAPACITY);
  #values = new Uint32Array(FIRST_CAPACITY);
  #mask = FIRST_CAPACITY - 1;
  size = 0;

  /** The value of a key, 0 when absent. */
  get(key: number): number {
    const keys = this.#keys, values = this.#values, mask = this.#mask;
    for (let slot = mix(key) & mask;; slot = slot + 1 & mask) {
      const value = values[slot];
      if (value === 0 || keys[slot] === key) return value;
    }
  }

  /** Sets the value of a key; returns the one before, 0 when there was none. */
  set(key: number, value: number): number {
    if (2 * (this.size + 1) > this.#mask) this.#grow();
    let slot = mix(key) & this.#mask;
    while (this.#values[slot] !== 0 && this.#keys[slot] !== key) slot = slot + 1 & this.#mask;
    const before = this.#values[slot];
    if (before === 0) this.size++;
    this.#keys[slot] = key;
    this.#values[slot] = value;
    return before;
  }

  /** Removes a key; returns its value, 0 when there was none. */
  delete(key: number): number {
    const keys = this.#keys, values = this.#values, mask = this.#mask;
    let hole = mix(key) & mask;
    while (values[hole] !== 0 && keys[hole] !== key) hole = hole + 1 & mask;
    const before = values[hole];
    if (before === 0) return 0;
    // Entries that stand after the hole because it was taken move up, so that probing needs no tombstones.
    for (let slot = hole + 1 & mask; values[slot] !== 0; slot = slot + 1 & mask) {
      if ((slot - mix(keys[slot]) & mask) < (slot - hole & mask)) continue;
      keys[hole] = keys[slot];
      values[hole] = values[slot];
      hole = slot;
    }
    values[hole] = 0;
    this.size--;
    return before;
  }

  /** Every key with its value. The table must not be changed meanwhile. */
  forEach(visit: (key: number, value: number) => void): void {
    for (let slot = 0; slot <= this.#mask; slot++) {
      if (this.#values[slot] !== 0) visit(this.#keys[slot], this.#values[slot]);
    }
  }

  #grow(): void {
    const keys = this.#keys, values = this.#values;
    this.#keys = new Uint32Array(2 * keys.length);
    this.#values = new Uint32Array(2 * keys.length);
    this.#mask = 2 * keys.length - 1;
    this.size = 0;
    for (let slot = 0; slot < keys.length; slot++) if (values[slot] !== 0) this.set(keys[slot], values[slot]);
  }
}

/** Keys of four words: IPv6 addresses. */
export class QuadTable {
  #keys = new Uint32Array(4 * FIRST_CAPACITY);
  #values = new Uint32Array(FIRST_CAPACITY);
  #mask = FIRST_CAPACITY - 1;
  size = 0;

  /** The value of a key, 0 when absent. */
  get(a: number, b: number, c: number, d: number): number {
    return this.#values[this.#find(a, b, c, d)];
  }

  /** Sets the value of a key; returns the one before, 0 when there was none. */
  set(a: number, b: number, c: number, d: number, value: number): number {
    if (2 * (this.size + 1) > this.#mask) this.#grow();
    const slot = this.#find(a, b, c, d);
    const before = this.#values[slot];
    if (before === 0) this.size++;
    const keys = this.#keys, at = 4 * slot;
    keys[at] = a;
    keys[at + 1] = b;
    keys[at + 2] = c;
    keys[at + 3] = d;
    this.#values[slot] = value;
    return before;
  }

  /** Removes a key; returns its value, 0 when there was none. */
  delete(a: number, b: number, c: number, d: number): number {
    const keys = this.#keys, values = this.#values, mask = this.#mask;
    let hole = this.#find(a, b, c, d);
    const before = values[hole];
    if (before === 0) return 0;
    for (let slot = hole + 1 & mask; values[slot] !== 0; slot = slot + 1 & mask) {
      const home = hash4(keys[4 * slot], keys[4 * slot + 1], keys[4 * slot + 2], keys[4 * slot + 3]);
      if ((slot - home & mask) < (slot - hole & mask)) continue;
      keys.copyWithin(4 * hole, 4 * slot, 4 * slot + 4);
      values[hole] = values[slot];
      hole = slot;
    }
    values[hole] = 0;
    this.size--;
    return before;
  }

  /** Every key with its value. The table must not be changed meanwhile. */
  forEach(visit: (keys: Uint32Array, at: number, value: number) => void): void {
    for (let slot = 0; slot <= this.#mask; slot++) {
      if (this.#values[slot] !== 0) visit(this.#keys, 4 * slot, this.#values[slot]);
    }
  }

  /** The slot of a key, or the free one where it belongs. */
  #find(a: number, b: number, c: number, d: number): number {
    const keys = this.#keys, values = this.#values, mask = this.#mask;
    for (let slot = hash4(a, b, c, d) & mask;; slot = slot + 1 & mask) {
      if (values[slot] === 0) return slot;
      const at = 4 * slot;
      if (keys[at + 3] === d && keys[at + 2] === c && keys[at + 1] === b && keys[at] === a) return slot;
    }
  }

  #grow(): void {
    const keys = this.#keys, values = this.#values;
    this.#keys = new Uint32Array(2 * keys.length);
    this.#values = new Uint32Array(2 * values.length);
    this.#mask = 2 * values.length - 1;
    this.size = 0;
    for (let slot = 0; slot < values.length; slot++) {
      const at = 4 * slot;
      if (values[slot] !== 0) this.set(keys[at], keys[at + 1], keys[at + 2], keys[at + 3], values[slot]);
    }
  }
}
