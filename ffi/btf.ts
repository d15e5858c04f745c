/**
 * Reader of BTF, the type information of BPF objects (kernel `Documentation/bpf/btf.rst`): only sizes and offsets, of structs and of the
 * variables in data sections. Pure functions over bytes; input that is cut short or points outside is an error, never a wrong read.
 */

/** `BTF_KIND_*` numbers that carry something after the 12-byte header, or that are looked at here. */
const Kind = {
  INT: 1,
  PTR: 2,
  ARRAY: 3,
  STRUCT: 4,
  UNION: 5,
  ENUM: 6,
  TYPEDEF: 8,
  VOLATILE: 9,
  CONST: 10,
  RESTRICT: 11,
  FUNC_PROTO: 13,
  VAR: 14,
  DATASEC: 15,
  DECL_TAG: 17,
  TYPE_TAG: 18,
  ENUM64: 19,
} as const;

const MAGIC = 0xeb9f;

/** A field of a struct or a variable of a data section: where it starts and how long it is, in bytes. */
export interface BtfField {
  readonly offset: number;
  readonly size: number;
}

/** A struct of the program. */
export interface BtfStruct {
  readonly size: number;
  readonly fields: ReadonlyMap<string, BtfField>;
}

interface Type {
  readonly name: string;
  readonly kind: number;
  readonly vlen: number;
  /** Size in bytes, or the number of another type: by kind. */
  readonly sizeOrType: number;
  /** Where the data behind the header starts. */
  readonly at: number;
  /** Bit-field form of struct members. */
  readonly kindFlag: boolean;
}

/** Parsed BTF of one object. */
export class Btf {
  readonly #view: DataView;
  readonly #types: readonly Type[];

  /** @throws {SyntaxError} when the bytes are not BTF. */
  constructor(bytes: Uint8Array) {
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    try {
      this.#types = readTypes(bytes, this.#view);
    } catch (error) {
      if (!(error instanceof RangeError)) throw error;
      throw new SyntaxError("Cannot read BTF: a length in it points outside of its bytes", { cause: error });
    }
  }

  /** Layout of a struct by name, or undefined when the program has none of that name. */
  struct(name: string): BtfStruct | undefined {
    const type = this.#types.find((type) => type.kind === Kind.STRUCT && type.name === name);
    if (type === undefined) return undefined;
    const fields = new Map<string, BtfField>();
    for (let index = 0; index < type.vlen; index++) {
      const at = type.at + index * 12;
      const member = this.#member(at, type.kindFlag);
      fields.set(member.name, { offset: member.offset, size: member.size });
    }
    return { size: type.sizeOrType, fields };
  }

  /** Variables of a data section, for instance `.rodata`; empty when there is no such section. */
  section(name: string): ReadonlyMap<string, BtfField> {
    const variables = new Map<string, BtfField>();
    const type = this.#types.find((type) => type.kind === Kind.DATASEC && type.name === name);
    if (type === undefined) return variables;
    for (let index = 0; index < type.vlen; index++) {
      const at = type.at + index * 12;
      const variable = this.#types[this.#view.getUint32(at, true)];
      if (variable?.kind !== Kind.VAR) continue;
      variables.set(variable.name, {
        offset: this.#view.getUint32(at + 4, true),
        size: this.#view.getUint32(at + 8, true),
      });
    }
    return variables;
  }

  /** Enumerators of an enum by name, or undefined when the program has none of that name. */
  enumeration(name: string): ReadonlyMap<string, number> | undefined {
    const type = this.#types.find((type) => type.kind === Kind.ENUM && type.name === name);
    if (type === undefined) return undefined;
    const values = new Map<string, number>();
    for (let index = 0; index < type.vlen; index++) {
      const at = type.at + index * 8;
      values.set(this.#string(this.#view.getUint32(at, true)), this.#view.getInt32(at + 4, true));
    }
    return values;
  }

  #member(at: number, bitField: boolean): BtfField & { name: string } {
    const raw = this.#view.getUint32(at + 8, true);
    const bits = bitField ? raw & 0xff_ffff : raw;
    return {
      name: this.#string(this.#view.getUint32(at, true)),
      offset: bits >>> 3,
      size: this.#sizeOf(this.#view.getUint32(at + 4, true), 0),
    };
  }

  #string(offset: number): string {
    return readString(this.#view, offset);
  }

  #sizeOf(index: number, depth: number): number {
    const type = this.#types[index];
    // Types refer to each other by number, so malformed input can make a ring of them.
    if (type === undefined || depth > 32) return 0;
    switch (type.kind) {
      case Kind.INT:
      case Kind.STRUCT:
      case Kind.UNION:
      case Kind.ENUM:
      case Kind.ENUM64:
        return type.sizeOrType;
      case Kind.PTR:
        return 8;
      case Kind.ARRAY:
        return this.#view.getUint32(type.at + 8, true) * this.#sizeOf(this.#view.getUint32(type.at, true), depth + 1);
      case Kind.TYPEDEF:
      case Kind.VOLATILE:
      case Kind.CONST:
      case Kind.RESTRICT:
      case Kind.TYPE_TAG:
        return this.#sizeOf(type.sizeOrType, depth + 1);
      default:
        return 0;
    }
  }
}

function readTypes(bytes: Uint8Array, view: DataView): Type[] {
  if (bytes.length < 24 || view.getUint16(0, true) !== MAGIC) {
    throw new SyntaxError("Cannot read BTF: the bytes do not start with its magic number in little-endian order");
  }
  const header = view.getUint32(4, true);
  let at = header + view.getUint32(8, true);
  const end = at + view.getUint32(12, true);
  const types: Type[] = [{ name: "", kind: 0, vlen: 0, sizeOrType: 0, at: 0, kindFlag: false }];
  while (at < end) {
    const info = view.getUint32(at + 4, true);
    const type: Type = {
      name: readString(view, view.getUint32(at, true)),
      kind: (info >>> 24) & 0x1f,
      vlen: info & 0xffff,
      kindFlag: info >>> 31 === 1,
      sizeOrType: view.getUint32(at + 8, true),
      at: at + 12,
    };
    types.push(type);
    at += 12 + trailingBytes(type.kind, type.vlen);
  }
  return types;
}

/** Bytes that follow the 12-byte header of a type. */
function trailingBytes(kind: number, vlen: number): number {
  switch (kind) {
    case Kind.INT:
    case Kind.VAR:
    case Kind.DECL_TAG:
      return 4;
    case Kind.ARRAY:
      return 12;
    case Kind.STRUCT:
    case Kind.UNION:
    case Kind.DATASEC:
    case Kind.ENUM64:
      return vlen * 12;
    case Kind.ENUM:
    case Kind.FUNC_PROTO:
      return vlen * 8;
    default:
      return 0;
  }
}

function readString(view: DataView, offset: number): string {
  const start = view.getUint32(4, true) + view.getUint32(16, true) + offset;
  let text = "";
  for (let at = start; view.getUint8(at) !== 0; at++) text += String.fromCharCode(view.getUint8(at));
  return text;
}
