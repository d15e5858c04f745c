/**
 * A C struct to pass by address: bytes in a buffer of their own, written through one DataView, little-endian like every supported node.
 *
 * Small typed arrays may live in V8's own heap, which moves objects; an explicit ArrayBuffer does not move, so its address may stand in another struct.
 */
export class CStruct {
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly view: DataView<ArrayBuffer>;
  /** Buffers that the struct points to; held here so that they live as long as the struct. */
  readonly #referenced: Uint8Array[] = [];

  /** @param size size of the struct in bytes */
  constructor(size: number) {
    const buffer = new ArrayBuffer(size);
    this.bytes = new Uint8Array(buffer);
    this.view = new DataView(buffer);
  }

  setU32(offset: number, value: number): this {
    this.view.setUint32(offset, value, true);
    return this;
  }

  getU32(offset: number): number {
    return this.view.getUint32(offset, true);
  }

  setI32(offset: number, value: number): this {
    this.view.setInt32(offset, value, true);
    return this;
  }

  setU64(offset: number, value: number | bigint): this {
    this.view.setBigUint64(offset, BigInt(value), true);
    return this;
  }

  /** Stores the address of a buffer, and keeps the buffer alive. The buffer must not be a view into V8's heap: see the class. */
  setAddress(offset: number, target: Uint8Array<ArrayBuffer>): this {
    this.#referenced.push(target);
    this.view.setBigUint64(offset, Deno.UnsafePointer.value(Deno.UnsafePointer.of(target)), true);
    return this;
  }
}

/** A copy of the bytes in an ArrayBuffer of its own, for {@link CStruct.setAddress}. */
export function pinned(bytes: Uint8Array): Uint8Array<ArrayBuffer> {
  const copy = new Uint8Array(new ArrayBuffer(bytes.length));
  copy.set(bytes);
  return copy;
}
