import { SystemError } from "./error.ts";
import { errno, libc } from "./libc.ts";

const PROT_READ = 1;
const PROT_WRITE = 2;
const MAP_SHARED = 1;
/** What mmap returns for a failure: all bits set. */
const MAP_FAILED = 2n ** 64n - 1n;

/**
 * Memory shared with the kernel through a file descriptor, seen through ArrayBuffers.
 *
 * Closing unmaps it. The ArrayBuffers do not know that: whoever holds one must let it go before, or the process dies at the next access.
 */
export class Mapping implements Disposable {
  readonly #length: number;
  #address: Deno.PointerObject | undefined;

  /**
   * @param offset in bytes, a multiple of the page size
   * @throws {SystemError} when the kernel refuses.
   */
  constructor(what: string, fd: number, offset: number, length: number, writable: boolean) {
    const protection = writable ? PROT_READ | PROT_WRITE : PROT_READ;
    const address = libc().mmap(null, BigInt(length), protection, MAP_SHARED, fd, BigInt(offset));
    if (address === null || Deno.UnsafePointer.value(address) === MAP_FAILED) {
      throw new SystemError(`Map ${length} bytes of ${what}`, errno());
    }
    this.#address = address;
    this.#length = length;
  }

  /** A part of the memory. Each call costs some hundred nanoseconds: make it once and keep it. */
  region(offset: number, length: number): ArrayBuffer {
    if (this.#address === undefined || offset < 0 || offset + length > this.#length) {
      throw new RangeError(
        `Cannot view ${length} bytes at ${offset}: the mapping is closed or has ${this.#length} bytes`,
      );
    }
    return Deno.UnsafePointerView.getArrayBuffer(this.#address, length, offset);
  }

  /** Unmaps the memory. Closing twice is harmless. */
  [Symbol.dispose](): void {
    if (this.#address === undefined) return;
    libc().munmap(this.#address, BigInt(this.#length));
    this.#address = undefined;
  }
}
