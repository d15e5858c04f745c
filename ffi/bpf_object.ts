import { toCString } from "./cstring.ts";
import { bpfHint, check, LibbpfError } from "./error.ts";
import { VERIFIER_LOG_CAPACITY, withLibbpfLog } from "./bpf_log.ts";
import { BpfMap } from "./bpf_map.ts";
import { BpfProgram } from "./bpf_program.ts";
import { Btf } from "./btf.ts";
import { libbpf } from "./libbpf.ts";
import { CStruct } from "./struct.ts";
import { withoutSignals } from "./system.ts";

type ObjectPointer = Deno.PointerObject<"bpf_object">;
type MapPointer = Deno.PointerObject<"bpf_map">;
type ProgramPointer = Deno.PointerObject<"bpf_program">;

/** `offsetof(struct bpf_object_open_opts, relaxed_maps)` rounded up: the size that holds `sz` and `object_name`. */
const OPEN_OPTIONS_SIZE = 16;

/**
 * A compiled BPF object: opened from memory, configured, then loaded into the kernel.
 *
 * Closing it unloads programs and maps that nothing else holds; attached programs stay as long as their links.
 */
export class BpfObject implements Disposable {
  readonly name: string;
  readonly #bytes: Uint8Array;
  #pointer: ObjectPointer | undefined;
  #btf: Btf | undefined;
  #loaded = false;

  private constructor(name: string, bytes: Uint8Array, pointer: ObjectPointer) {
    this.name = name;
    this.#bytes = bytes;
    this.#pointer = pointer;
  }

  /**
   * Reads an ELF file that clang made for the BPF target.
   *
   * @throws {LibbpfError} when the bytes are not such a file.
   */
  static open(bytes: Uint8Array, name: string): BpfObject {
    const options = new CStruct(OPEN_OPTIONS_SIZE);
    options.setU64(0, OPEN_OPTIONS_SIZE).setAddress(8, toCString(name));
    return withLibbpfLog((log) => {
      const pointer = libbpf().bpf_object__open_mem(bytes as BufferSource, BigInt(bytes.length), options.bytes);
      if (pointer === null) {
        const error = Number(libbpf().libbpf_get_error(null));
        throw new LibbpfError(`Open BPF object ${name}`, -error, { log: log(), hint: bpfHint(-error, log()) });
      }
      return new BpfObject(name, bytes, pointer as ObjectPointer);
    });
  }

  /** Type information of the object, with the offsets of global variables filled in. */
  get btf(): Btf {
    if (this.#btf === undefined) {
      const size = new Uint32Array(1);
      const btf = libbpf().bpf_object__btf(this.#open());
      const raw = btf === null ? null : libbpf().btf__raw_data(btf, size);
      if (raw === null) {
        throw new Error(`Cannot read the BTF of BPF object ${this.name}: it has none, compile it with -g`);
      }
      this.#btf = new Btf(new Uint8Array(Deno.UnsafePointerView.getArrayBuffer(raw, size[0])).slice());
    }
    return this.#btf;
  }

  /** Names of the maps, in the order of the object. */
  mapNames(): string[] {
    return [...this.#maps().keys()];
  }

  /** Names of the programs, in the order of the object. */
  programNames(): string[] {
    return [...this.#programs().keys()];
  }

  /** Sets the size of a map, before {@link BpfObject.load}: entries, or bytes for a ring buffer. */
  setMaxEntries(map: string, count: number): this {
    check(
      `Set the size of BPF map ${map} to ${count}`,
      libbpf().bpf_map__set_max_entries(this.#mapPointer(map), count),
    );
    return this;
  }

  /**
   * Sets a `const volatile` variable, before {@link BpfObject.load}; the verifier then treats it as a constant.
   *
   * @throws {RangeError} when there is no such variable, or the value does not fit into it.
   */
  setConstant(variable: string, value: number | bigint | boolean): this {
    if (this.#loaded) throw new Error(`Cannot set ${variable}: BPF object ${this.name} is already loaded`);
    const field = this.btf.section(".rodata").get(variable);
    if (field === undefined) {
      throw new RangeError(`Cannot set ${variable}: BPF object ${this.name} has no such constant`);
    }
    const size = new BigUint64Array(1);
    const address = libbpf().bpf_map__initial_value(this.#mapPointer(".rodata"), size);
    if (address === null || field.offset + field.size > Number(size[0])) {
      throw new RangeError(`Cannot set ${variable}: it lies outside of the constants of BPF object ${this.name}`);
    }
    const view = new DataView(Deno.UnsafePointerView.getArrayBuffer(address, Number(size[0])));
    writeInteger(variable, view, field.offset, field.size, BigInt(value));
    return this;
  }

  /** Chooses whether {@link BpfObject.load} loads a program; all are loaded by default. */
  setAutoload(program: string, load: boolean): this {
    const pointer = this.#programs().get(program);
    if (pointer === undefined) throw new RangeError(`Cannot find program ${program} in BPF object ${this.name}`);
    check(`Select BPF program ${program}`, libbpf().bpf_program__set_autoload(pointer, load));
    return this;
  }

  /** Takes a map of another, loaded object instead of making one, before {@link BpfObject.load}: programs of both then share it. */
  reuseMap(map: BpfMap): this {
    check(`Reuse BPF map ${map.name}`, libbpf().bpf_map__reuse_fd(this.#mapPointer(map.name), map.fd));
    return this;
  }

  /**
   * Creates the maps and verifies and loads the programs.
   *
   * @throws {LibbpfError} with the log of the verifier and, for the usual reasons, a hint.
   */
  load(): this {
    withLibbpfLog((log) => {
      const pointer = this.#open();
      const result = withoutSignals(() => libbpf().bpf_object__load(pointer));
      if (result < 0) check(`Load BPF object ${this.name}`, result, log());
    }, VERIFIER_LOG_CAPACITY);
    this.#loaded = true;
    return this;
  }

  /** A map of the loaded object by name. @throws {RangeError} when there is none of that name. */
  map(name: string): BpfMap {
    const pointer = this.#mapPointer(name);
    const library = libbpf();
    return new BpfMap({
      name,
      fd: check(`Find BPF map ${name}`, library.bpf_map__fd(pointer)),
      type: library.bpf_map__type(pointer),
      keySize: library.bpf_map__key_size(pointer),
      valueSize: library.bpf_map__value_size(pointer),
      maxEntries: library.bpf_map__max_entries(pointer),
    });
  }

  /** A program of the loaded object by name. @throws {RangeError} when there is none of that name. */
  program(name: string): BpfProgram {
    const pointer = this.#programs().get(name);
    if (pointer === undefined) throw new RangeError(`Cannot find program ${name} in BPF object ${this.name}`);
    return new BpfProgram(name, check(`Find BPF program ${name}`, libbpf().bpf_program__fd(pointer)));
  }

  /** Unloads the object. Closing twice is harmless. */
  [Symbol.dispose](): void {
    if (this.#pointer === undefined) return;
    libbpf().bpf_object__close(this.#pointer);
    this.#pointer = undefined;
  }

  #open(): ObjectPointer {
    if (this.#pointer === undefined) {
      throw new Error(`Cannot use BPF object ${this.name} of ${this.#bytes.length} bytes: it is closed`);
    }
    return this.#pointer;
  }

  #mapPointer(name: string): MapPointer {
    const pointer = libbpf().bpf_object__find_map_by_name(this.#open(), toCString(name));
    if (pointer === null) throw new RangeError(`Cannot find map ${name} in BPF object ${this.name}`);
    return pointer as MapPointer;
  }

  #maps(): Map<string, MapPointer> {
    const maps = new Map<string, MapPointer>();
    let map = libbpf().bpf_object__next_map(this.#open(), null);
    for (; map !== null; map = libbpf().bpf_object__next_map(this.#open(), map)) {
      maps.set(nameAt(libbpf().bpf_map__name(map)), map as MapPointer);
    }
    return maps;
  }

  #programs(): Map<string, ProgramPointer> {
    const programs = new Map<string, ProgramPointer>();
    let program = libbpf().bpf_object__next_program(this.#open(), null);
    for (; program !== null; program = libbpf().bpf_object__next_program(this.#open(), program)) {
      programs.set(nameAt(libbpf().bpf_program__name(program)), program as ProgramPointer);
    }
    return programs;
  }
}

function nameAt(address: Deno.PointerValue): string {
  return address === null ? "" : Deno.UnsafePointerView.getCString(address);
}

/** Writes an unsigned integer of 1, 2, 4 or 8 bytes. */
function writeInteger(name: string, view: DataView, offset: number, size: number, value: bigint): void {
  if (![1, 2, 4, 8].includes(size) || value < 0n || BigInt.asUintN(size * 8, value) !== value) {
    throw new RangeError(`Cannot set ${name} to ${value}: expected an unsigned integer of ${size} bytes`);
  }
  for (let index = 0; index < size; index++) {
    view.setUint8(offset + index, Number((value >> BigInt(8 * index)) & 0xffn));
  }
}
