/** What old kernels would refuse is not in the objects: looked up in their instructions, since no old kernel is at hand here. */
import assert from "node:assert/strict";
import { ebpf, testWith } from "../lab/need.ts";
import { functionsOf, type Instruction } from "./elf.ts";
import { objectBytes, VARIANTS } from "./parser.ts";

/** `enum bpf_func_id` of linux/bpf.h: what each variant may call. */
const HELPERS = {
  // Linux 4.19: map_lookup_elem, map_update_elem, ktime_get_ns, get_prandom_u32, perf_event_output, skb_load_bytes.
  perf: [1, 2, 5, 7, 25, 26],
  // And ktime_get_boot_ns, ringbuf_reserve, ringbuf_submit, ringbuf_query of 5.8; ktime_get_coarse_ns of 5.11 behind a knob.
  ring: [1, 2, 5, 7, 26, 125, 131, 132, 134, 160],
};

/** Classes and opcodes of instructions. */
const JUMP = 0x05, JUMP32 = 0x06, STORE = 0x03;
const CALL = 0x85, EXIT = 0x95, ALWAYS = 0x05;
const ATOMIC_MODE = 0xc0;
/** Limit of a program before Linux 5.2, its subprograms included. */
const MAX_INSTRUCTIONS = 4096;

function isCall({ opcode }: Instruction): boolean {
  return opcode === CALL;
}

/** Whether control can come back to an instruction: what the verifier called a back-edge before Linux 5.3. */
function hasLoop(code: readonly Instruction[]): boolean {
  const state = new Uint8Array(code.length); // 1: on the way from the start to here, 2: done
  const stack: { at: number; next: number[] }[] = [{ at: 0, next: successors(code, 0) }];
  state[0] = 1;
  while (stack.length > 0) {
    const top = stack[stack.length - 1];
    const next = top.next.pop();
    if (next === undefined) {
      state[top.at] = 2;
      stack.pop();
    } else if (state[next] === 1) {
      return true;
    } else if (state[next] === 0) {
      state[next] = 1;
      stack.push({ at: next, next: successors(code, next) });
    }
  }
  return false;
}

function successors(code: readonly Instruction[], at: number): number[] {
  const { opcode, offset } = code[at];
  const kind = opcode & 7;
  if (opcode === EXIT) return [];
  if ((kind !== JUMP && kind !== JUMP32) || opcode === CALL) return [at + 1];
  return opcode === ALWAYS ? [at + 1 + offset] : [at + 1, at + 1 + offset];
}

Deno.test("hasLoop() tells a loop from a jump backwards", () => {
  const jump = (offset: number): Instruction => ({ opcode: ALWAYS, source: 0, offset, immediate: 0 });
  const branch = (offset: number): Instruction => ({ opcode: 0x15, source: 0, offset, immediate: 0 });
  const exit: Instruction = { opcode: EXIT, source: 0, offset: 0, immediate: 0 };
  assert.equal(hasLoop([branch(1), jump(1), exit, jump(-2)]), false); // to an exit that lies before
  assert.equal(hasLoop([branch(1), jump(-2), exit]), true);
});

for (const variant of VARIANTS) {
  testWith([ebpf], `the ${variant} object calls only helpers that its oldest kernel has`, () => {
    const helpers = new Set<number>();
    for (const code of functionsOf(objectBytes(variant)).values()) {
      code.filter((one) => isCall(one) && one.source === 0).forEach((one) => helpers.add(one.immediate));
    }
    assert.deepEqual([...helpers].sort((a, b) => a - b), HELPERS[variant]);
  });

  testWith([ebpf], `the ${variant} object has no loop, and no atomic operation but plain addition`, () => {
    for (const [name, code] of functionsOf(objectBytes(variant))) {
      assert.equal(hasLoop(code), false, name);
      const atomics = code.filter(({ opcode }) => (opcode & 7) === STORE && (opcode & 0xe0) === ATOMIC_MODE);
      assert.deepEqual(atomics.filter(({ immediate }) => immediate !== 0), [], name); // 0: BPF_ADD without BPF_FETCH
    }
  });
}

testWith([ebpf], "the perf object keeps to the instructions and the program size of Linux 4.19", () => {
  const functions = functionsOf(objectBytes("perf"));
  let shared = 0, largest = 0;
  for (const [name, code] of functions) {
    assert.equal(code.some(({ opcode }) => (opcode & 7) === JUMP32), false, name); // -mcpu=v3
    if (/^(host|endpoint)_/.test(name)) largest = Math.max(largest, code.length);
    else shared += code.length;
  }
  assert.ok(shared > 0 && largest + shared <= MAX_INSTRUCTIONS, `${largest} + ${shared} instructions`);
});
