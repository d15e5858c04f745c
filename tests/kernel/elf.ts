/** Reads the functions of a BPF object: enough of ELF-64 (little-endian) to look at their instructions. */

/** One instruction (kernel `Documentation/bpf/standardization/instruction-set.rst`). */
export interface Instruction {
  readonly opcode: number;
  readonly source: number;
  readonly offset: number;
  readonly immediate: number;
}

const SYMTAB = 2;
const SYMBOL_SIZE = 24;
const FUNCTION = 2;
const SECTION_HEADER = 64;

/** Functions by name, with their instructions. The second half of a 64-bit load is an instruction with opcode 0. */
export function functionsOf(bytes: Uint8Array): Map<string, Instruction[]> {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const header = Number(view.getBigUint64(0x28, true));
  const count = view.getUint16(0x3c, true);
  const section = (index: number) => {
    const at = header + index * SECTION_HEADER;
    return {
      type: view.getUint32(at + 4, true),
      offset: Number(view.getBigUint64(at + 0x18, true)),
      size: Number(view.getBigUint64(at + 0x20, true)),
      link: view.getUint32(at + 0x28, true),
    };
  };
  const sections = Array.from({ length: count }, (_, index) => section(index));
  const symbols = sections.find(({ type }) => type === SYMTAB);
  if (symbols === undefined) throw new Error("Cannot read the object: it has no symbols");
  const names = sections[symbols.link].offset;
  const functions = new Map<string, Instruction[]>();
  for (let at = symbols.offset; at < symbols.offset + symbols.size; at += SYMBOL_SIZE) {
    if ((view.getUint8(at + 4) & 15) !== FUNCTION) continue;
    const start = sections[view.getUint16(at + 6, true)].offset + Number(view.getBigUint64(at + 8, true));
    const size = Number(view.getBigUint64(at + 16, true));
    functions.set(text(bytes, names + view.getUint32(at, true)), instructions(view, start, size));
  }
  return functions;
}

function instructions(view: DataView, start: number, size: number): Instruction[] {
  return Array.from({ length: size / 8 }, (_, index) => {
    const at = start + index * 8;
    return {
      opcode: view.getUint8(at),
      source: view.getUint8(at + 1) >> 4,
      offset: view.getInt16(at + 2, true),
      immediate: view.getInt32(at + 4, true),
    };
  });
}

function text(bytes: Uint8Array, at: number): string {
  return new TextDecoder().decode(bytes.subarray(at, bytes.indexOf(0, at)));
}
