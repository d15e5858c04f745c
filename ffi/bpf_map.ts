import { toCString } from "./cstring.ts";
import { check } from "./error.ts";
import { Errno } from "./errno.ts";
import { libbpf } from "./libbpf.ts";
import { libc } from "./libc.ts";

/** `enum bpf_map_type` numbers in use. */
export const MapType = {
  HASH: 1,
  ARRAY: 2,
  PERF_EVENT_ARRAY: 4,
  PERCPU_ARRAY: 6,
  LRU_HASH: 9,
  RINGBUF: 27,
} as const;

/**
 * A map of a loaded BPF object. It borrows the object's file descriptor: use it while the object is open.
 *
 * Keys and values are bytes as the program declares them; their lengths are checked here, because the kernel cannot.
 */
export class BpfMap {
  readonly name: string;
  readonly fd: number;
  readonly type: number;
  /** Size of a key in bytes. */
  readonly keySize: number;
  /** Size of one value in bytes; a per-CPU map has one of them for each possible CPU, see {@link BpfMap.bufferSize}. */
  readonly valueSize: number;
  readonly maxEntries: number;
  /** Bytes that one lookup writes. */
  readonly bufferSize: number;
  readonly #cursor: Uint8Array<ArrayBuffer>[];
  readonly #count = new Uint32Array(1);

  constructor(fields: Pick<BpfMap, "name" | "fd" | "type" | "keySize" | "valueSize" | "maxEntries">) {
    this.name = fields.name;
    this.fd = fields.fd;
    this.type = fields.type;
    this.keySize = fields.keySize;
    this.valueSize = fields.valueSize;
    this.maxEntries = fields.maxEntries;
    // The kernel rounds each CPU's value up to eight bytes.
    this.bufferSize = fields.type === MapType.PERCPU_ARRAY
      ? Math.ceil(fields.valueSize / 8) * 8 * possibleCpuCount()
      : fields.valueSize;
    // A hash map's batch cursor is a bucket number of four bytes; the kernel asks for room for a key at most.
    this.#cursor = [new Uint8Array(Math.max(8, fields.keySize)), new Uint8Array(Math.max(8, fields.keySize))];
  }

  /** Copies the value of a key into `value`. False when the key is not there. */
  lookup(key: Uint8Array, value: Uint8Array): boolean {
    this.#checkSizes(key, value);
    return this.#found("Look up", libbpf().bpf_map_lookup_elem(this.fd, key as BufferSource, value as BufferSource));
  }

  /** Sets the value of a key; it may exist or not. */
  update(key: Uint8Array, value: Uint8Array): void {
    this.#checkSizes(key, value);
    const result = libbpf().bpf_map_update_elem(this.fd, key as BufferSource, value as BufferSource, 0n);
    check(`Update BPF map ${this.name}`, result);
  }

  /** Removes a key. False when it was not there. */
  delete(key: Uint8Array): boolean {
    this.#checkSizes(key);
    return this.#found("Delete from", libbpf().bpf_map_delete_elem(this.fd, key as BufferSource));
  }

  /**
   * Copies the value of a key into `value` and removes the key in one step, so that no update falls between the two.
   *
   * Kernels before 5.14 cannot do this for hash maps; there the two steps are two.
   */
  take(key: Uint8Array, value: Uint8Array): boolean {
    this.#checkSizes(key, value);
    const result = libbpf().bpf_map_lookup_and_delete_elem(this.fd, key as BufferSource, value as BufferSource);
    if (result !== -Errno.EOPNOTSUPP && result !== -Errno.ENOTSUPP && result !== -Errno.EINVAL) {
      return this.#found("Take from", result);
    }
    return this.lookup(key, value) && this.delete(key);
  }

  /** Writes the key after `key` (the first one for null) into `next`. False at the end. A key that is gone starts again. */
  nextKey(key: Uint8Array | null, next: Uint8Array): boolean {
    this.#checkSizes(next);
    if (key !== null) this.#checkSizes(key);
    const result = libbpf().bpf_map_get_next_key(this.fd, key as BufferSource | null, next as BufferSource);
    return this.#found("Iterate", result);
  }

  /**
   * Copies up to as many entries as fit into `keys` and `values`.
   *
   * @param first true starts at the beginning, false goes on where the last call ended
   * @returns the number of entries, and whether the end was reached. A bucket with more entries than fit is an error (ENOSPC).
   */
  lookupBatch(first: boolean, keys: Uint8Array, values: Uint8Array): { count: number; done: boolean } {
    const capacity = Math.min(Math.floor(keys.length / this.keySize), Math.floor(values.length / this.bufferSize));
    this.#count[0] = capacity;
    const [from, to] = this.#cursor;
    const result = libbpf().bpf_map_lookup_batch(
      this.fd,
      first ? null : from,
      to,
      keys as BufferSource,
      values as BufferSource,
      this.#count,
      null,
    );
    if (result !== -Errno.ENOENT) check(`Look up a batch of BPF map ${this.name}`, result);
    this.#cursor.reverse();
    return { count: this.#count[0], done: result === -Errno.ENOENT };
  }

  /** Removes the first `count` keys of `keys`; those that are gone already are passed over. Returns how many it removed. */
  deleteBatch(keys: Uint8Array, count: number): number {
    let removed = 0;
    for (let at = 0; at < count;) {
      this.#count[0] = count - at;
      const rest = keys.subarray(at * this.keySize, count * this.keySize) as BufferSource;
      const result = libbpf().bpf_map_delete_batch(this.fd, rest, this.#count, null);
      if (result !== -Errno.ENOENT) check(`Delete a batch of BPF map ${this.name}`, result);
      removed += this.#count[0];
      // The kernel stops at the first key that is not there, and counts those before it.
      at += this.#count[0] + (result === 0 ? 0 : 1);
    }
    return removed;
  }

  #found(verb: string, result: number): boolean {
    if (result === -Errno.ENOENT) return false;
    check(`${verb} BPF map ${this.name}`, result);
    return true;
  }

  #checkSizes(key: Uint8Array, value?: Uint8Array): void {
    if (key.length !== this.keySize) {
      throw new RangeError(
        `Cannot use a key of ${key.length} bytes with BPF map ${this.name}: expected ${this.keySize}`,
      );
    }
    if (value !== undefined && value.length !== this.bufferSize) {
      throw new RangeError(
        `Cannot use a value of ${value.length} bytes with BPF map ${this.name}: expected ${this.bufferSize}`,
      );
    }
  }
}

/** Number of CPUs that the kernel could ever bring up: the number of values in an element of a per-CPU map. */
export function possibleCpuCount(): number {
  return check("Count the possible CPUs", libbpf().libbpf_num_possible_cpus());
}

/**
 * Whether this kernel can make a map of a type, found by making a small one and closing it. Versions lie, distributions backport.
 *
 * @throws {LibbpfError} when the answer is not about the type: no permission, no memory.
 */
export function mapTypeSupported(type: number, keySize: number, valueSize: number, maxEntries: number): boolean {
  const fd = libbpf().bpf_map_create(type, toCString("probe"), keySize, valueSize, maxEntries, null);
  // An unknown type is EINVAL since the beginning of the bpf system call.
  if (fd === -Errno.EINVAL || fd === -Errno.EOPNOTSUPP) return false;
  libc().close(check(`Probe for BPF map type ${type}`, fd));
  return true;
}
