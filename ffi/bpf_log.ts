import { libbpf } from "./libbpf.ts";
import { fromCString } from "./cstring.ts";
import { libc } from "./libc.ts";

/** `enum libbpf_print_level`; debug lines are thousands for one load and nobody reads them. */
const LIBBPF_INFO = 1;

/** A verifier log comes as one line and can be megabytes. vsnprintf consumes its va_list, so it cannot be measured first. */
export const VERIFIER_LOG_CAPACITY = 1 << 20;
/** Any other line. */
const LINE_CAPACITY = 4096;

/** What the log is cut to: the reason for a refusal stands at the end of a verifier log. */
const KEPT_CHARACTERS = 64 * 1024;

const definition = { parameters: ["i32", "pointer", "pointer"], result: "i32" } as const;

/**
 * Runs a function and collects what libbpf prints meanwhile, verifier logs included.
 *
 * The function gets a reader of the log so far, for the error that it may throw.
 *
 * @param capacity bytes of the longest line; longer ones are cut
 */
export function withLibbpfLog<T>(run: (log: () => string) => T, capacity: number = LINE_CAPACITY): T {
  let text = "";
  let line: Uint8Array | undefined;
  using callback = disposable(
    new Deno.UnsafeCallback(definition, (level, format, args) => {
      if (level > LIBBPF_INFO) return 0;
      line ??= new Uint8Array(capacity);
      const written = libc().vsnprintf(line, BigInt(line.length), format, args);
      if (written > 0) text = (text + fromCString(line.subarray(0, written))).slice(-KEPT_CHARACTERS);
      return written;
    }),
  );
  libbpf().libbpf_set_print(callback.value.pointer);
  try {
    return run(() => text.trimEnd());
  } finally {
    libbpf().libbpf_set_print(null);
  }
}

function disposable(value: Deno.UnsafeCallback<typeof definition>) {
  return { value, [Symbol.dispose]: () => value.close() };
}
