import { formatAddress, formatPrefix, maskBytes, parsePrefix, type Prefix } from "./address.ts";
import { QuadTable, WordTable } from "./address_table.ts";
import { type Identity, ReservedIdentity } from "./identity.ts";
import { HOST_API_SERVER_IDENTITY, HOST_IDENTITY, sameIdentity } from "./make.ts";
import { IdentityTable } from "./table.ts";

/** The third word of an IPv4-mapped address, as read little-endian; the first two are zero. */
const MAPPED = 0xffff0000;

/** One change of what a prefix stands for. */
export interface IpCacheChange {
  readonly kind: "upsert" | "delete";
  /** Address or CIDR in canonical form. */
  readonly prefix: string;
  readonly old?: Identity;
  readonly new?: Identity;
}

/**
 * Who says what an address is; where two speak of the same prefix, the higher one is believed. The others' word is kept
 * and counts again when the higher one falls silent.
 */
export const Layer = {
  /** The operator, about the whole cluster. */
  CLUSTER: 0,
  /** The identity file. */
  FILE: 1,
  /** The agent, about its own node. */
  HOST: 2,
} as const;
export type Layer = typeof Layer[keyof typeof Layer];

/** Prefixes of one length. */
interface Group {
  readonly length: number;
  readonly mask: Uint32Array;
  /** IPv4. */
  readonly words: WordTable;
  /** IPv6. */
  readonly quads: QuadTable;
}

/** What each address stands for. Keyed by the address's bytes; single addresses and CIDRs, longest prefix first. */
export class IpCache {
  readonly table: IdentityTable;
  /** Single addresses: /32 and /128. */
  #single = makeGroup(128, new Uint32Array(4).fill(0xffffffff));
  #words = this.#single.words;
  #quads = this.#single.quads;
  /** CIDRs by length, the longest first. */
  #masked4: Group[] = [];
  #masked6: Group[] = [];
  /** Only prefixes of which somebody above {@link Layer.CLUSTER} speaks; by layer. */
  #layered = new Map<string, (Identity | undefined)[]>();
  #listeners = new Set<(change: IpCacheChange) => void>();
  readonly #syncListeners: (() => void)[] = [];
  #size = 0;
  #synced = false;
  #masked = new Uint32Array(4);

  constructor(table: IdentityTable) {
    this.table = table;
  }

  /** Prefixes that have an identity. */
  get size(): number {
    return this.#size;
  }

  /** Whether a source has told everything it knows at least once. */
  get synced(): boolean {
    return this.#synced;
  }

  /** Says that a source has told everything it knows. */
  markSynced(): void {
    this.#synced = true;
    for (const listener of this.#syncListeners.splice(0)) listener();
  }

  /** Calls `listener` once, as soon as a source has told everything it knows: at once when one has. */
  onSynced(listener: () => void): void {
    if (this.#synced) listener();
    else this.#syncListeners.push(listener);
  }

  /**
   * Index of the identity of the 16-byte address whose words are `u32[at..at+3]`, read little-endian: the address
   * itself, else the longest CIDR, else {@link IdentityTable.WORLD}. The caller takes no reference. Allocates nothing.
   */
  lookup(u32: Uint32Array, at: number): number {
    const a = u32[at], b = u32[at + 1], c = u32[at + 2], d = u32[at + 3];
    if (a === 0 && b === 0 && c === MAPPED) {
      const found = this.#words.get(d);
      if (found !== 0) return found;
      const prefixes = this.#masked4;
      for (let i = 0; i < prefixes.length; i++) {
        const covering = prefixes[i].words.get((d & prefixes[i].mask[3]) >>> 0);
        if (covering !== 0) return covering;
      }
      return IdentityTable.WORLD;
    }
    const found = this.#quads.get(a, b, c, d);
    return found !== 0 ? found : this.#lookupMasked(a, b, c, d);
  }

  #lookupMasked(a: number, b: number, c: number, d: number): number {
    const key = this.#masked, prefixes = this.#masked6;
    for (let i = 0; i < prefixes.length; i++) {
      const mask = prefixes[i].mask;
      // Through a typed array, because keys are unsigned and `&` is signed.
      key[0] = a & mask[0];
      key[1] = b & mask[1];
      key[2] = c & mask[2];
      key[3] = d & mask[3];
      const found = prefixes[i].quads.get(key[0], key[1], key[2], key[3]);
      if (found !== 0) return found;
    }
    return IdentityTable.WORLD;
  }

  /**
   * Says what an address or CIDR (its text, or read already) stands for. Returns false when nothing changed: an equal identity, or a higher layer
   * is believed.
   *
   * @throws {SyntaxError} when `prefix` is neither an address nor a CIDR.
   */
  set(prefix: string | Prefix, identity: Identity, layer: Layer = Layer.CLUSTER): boolean {
    const parsed = read(prefix);
    const name = formatPrefix(parsed);
    let layers = this.#layered.get(name);
    if (layers === undefined) {
      if (layer === Layer.CLUSTER) return this.#put(parsed, name, identity);
      this.#layered.set(name, layers = [this.#at(parsed)]);
    }
    layers[layer] = identity;
    return this.#put(parsed, name, believed(layers) ?? identity);
  }

  /**
   * Takes back what one layer said of a prefix. Returns false when nothing changed.
   *
   * @throws {SyntaxError} when `prefix` is neither an address nor a CIDR.
   */
  delete(prefix: string | Prefix, layer: Layer = Layer.CLUSTER): boolean {
    const parsed = read(prefix);
    const name = formatPrefix(parsed);
    const layers = this.#layered.get(name);
    if (layers === undefined) return layer === Layer.CLUSTER && this.#remove(parsed, name);
    layers[layer] = undefined;
    if (layers[Layer.FILE] === undefined && layers[Layer.HOST] === undefined) this.#layered.delete(name);
    const next = believed(layers);
    return next === undefined ? this.#remove(parsed, name) : this.#put(parsed, name, next);
  }

  /** What an address stands for, or exactly this CIDR; undefined when there is no entry, or the text is no prefix. */
  get(address: string): Identity | undefined {
    const prefix = parsePrefix(address);
    if (prefix === undefined) return undefined;
    const index = isSingle(prefix) ? this.lookup(wordsOf(prefix), 0) : IdentityTable.WORLD;
    return index === IdentityTable.WORLD ? this.#at(prefix) : this.table.get(index);
  }

  /** Every prefix in canonical form with its identity, in no order. A copy: the cache may change meanwhile. */
  entries(): Iterable<[prefix: string, identity: Identity]> {
    const list: [string, Identity][] = [];
    const key = new Uint32Array(4);
    const bytes = new Uint8Array(key.buffer);
    const add = (index: number, suffix: string) => list.push([formatAddress(bytes) + suffix, this.table.get(index)]);
    for (const group of [this.#single, ...this.#masked4, ...this.#masked6]) {
      const suffix = group === this.#single ? "" : `/${group.length}`;
      group.words.forEach((word, index) => {
        key.set([0, 0, MAPPED, word]);
        add(index, suffix);
      });
      group.quads.forEach((keys, at, index) => {
        key.set(keys.subarray(at, at + 4));
        add(index, suffix);
      });
    }
    return list;
  }

  /** Calls `listener` after every change, until the returned function is called. */
  subscribe(listener: (change: IpCacheChange) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** The identity of exactly this prefix. */
  #at(prefix: Prefix): Identity | undefined {
    const group = this.#group(prefix);
    if (group === undefined) return undefined;
    const [a, b, c, d] = wordsOf(prefix);
    const index = prefix.family === 4 ? group.words.get(d) : group.quads.get(a, b, c, d);
    return index === 0 ? undefined : this.table.get(index);
  }

  #put(prefix: Prefix, name: string, identity: Identity): boolean {
    const old = this.#at(prefix);
    if (old !== undefined && sameIdentity(old, identity)) return false;
    const group = this.#group(prefix) ?? this.#addGroup(prefix);
    const [a, b, c, d] = wordsOf(prefix);
    const index = this.table.add(identity);
    const before = prefix.family === 4 ? group.words.set(d, index) : group.quads.set(a, b, c, d, index);
    if (before === 0) this.#size++;
    else this.table.release(before);
    this.#tell({ kind: "upsert", prefix: name, ...(old && { old }), new: identity });
    return true;
  }

  #remove(prefix: Prefix, name: string): boolean {
    const old = this.#at(prefix);
    const group = this.#group(prefix);
    if (old === undefined || group === undefined) return false;
    const [a, b, c, d] = wordsOf(prefix);
    this.table.release(prefix.family === 4 ? group.words.delete(d) : group.quads.delete(a, b, c, d));
    this.#size--;
    // An empty group would cost every look-up of an unknown address a probe.
    const groups = prefix.family === 4 ? this.#masked4 : this.#masked6;
    if (group.words.size + group.quads.size === 0 && groups.includes(group)) groups.splice(groups.indexOf(group), 1);
    this.#tell({ kind: "delete", prefix: name, old });
    return true;
  }

  #group(prefix: Prefix): Group | undefined {
    if (isSingle(prefix)) return this.#single;
    return (prefix.family === 4 ? this.#masked4 : this.#masked6).find((group) => group.length === prefix.length);
  }

  #addGroup(prefix: Prefix): Group {
    const groups = prefix.family === 4 ? this.#masked4 : this.#masked6;
    const mask = new Uint8Array(16).fill(255);
    maskBytes(mask, prefix.family === 4 ? prefix.length + 96 : prefix.length);
    const group = makeGroup(prefix.length, new Uint32Array(mask.buffer));
    groups.push(group);
    groups.sort((a, b) => b.length - a.length);
    return group;
  }

  #tell(change: IpCacheChange): void {
    for (const listener of this.#listeners) listener(change);
  }
}

function makeGroup(length: number, mask: Uint32Array): Group {
  return { length, mask, words: new WordTable(), quads: new QuadTable() };
}

function isSingle(prefix: Prefix): boolean {
  return prefix.length === (prefix.family === 4 ? 32 : 128);
}

function read(text: string | Prefix): Prefix {
  if (typeof text !== "string") return text;
  const prefix = parsePrefix(text);
  if (prefix === undefined) {
    throw new SyntaxError(`Cannot use "${text}" as a cache key: expected an IP address or a CIDR`);
  }
  return prefix;
}

function wordsOf(prefix: Prefix): Uint32Array {
  return new Uint32Array(prefix.bytes.buffer);
}

function believed(layers: readonly (Identity | undefined)[]): Identity | undefined {
  const host = layers[Layer.HOST], below = layers[Layer.FILE] ?? layers[Layer.CLUSTER];
  // The operator knows where the API server runs, the agent where it runs itself: both labels are wanted.
  const both = host === HOST_IDENTITY && below?.numeric === ReservedIdentity.KUBE_APISERVER;
  return both ? HOST_API_SERVER_IDENTITY : host ?? below;
}
