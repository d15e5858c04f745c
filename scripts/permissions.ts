/**
 * Deno permissions and V8 flags of the programs, in one place for `deno run`, the tests and `deno compile`.
 *
 * Permission sets of deno.json are not used: Deno 2.9 prints a warning about them at every start, and a list of
 * libraries under `ffi` makes it look for a bare library name in the current folder only.
 */

/**
 * The agent. No `--allow-run`: it starts no process. `--allow-ffi` cannot be narrower (see above); files are read for
 * options (certificates, identities, replay) and written for the Hubble socket alone. Of the system, it asks the host's
 * name, the node's addresses, who it runs as, and the inspector for CPU profiles; the last one
 * Deno 2.9.6 checks but does not take as a name, so `--allow-sys` stays whole.
 */
export const AGENT = [
  "--no-prompt",
  "--allow-ffi",
  "--allow-net",
  "--allow-read",
  "--allow-write",
  "--allow-env",
  "--allow-sys",
  // Not permissions. The young generation grows to three times 16 MB under load otherwise, for garbage that dies at once; and
  // ten times its size of buffers that were sent waits for it to be full. The collector is called once, before anything is
  // captured (`src/agent/memory.ts`).
  "--v8-flags=--max-semi-space-size=1,--expose-gc",
] as const;

/** The operator: no FFI, no files written, no processes. */
export const OPERATOR = [
  "--no-prompt",
  "--allow-net",
  "--allow-read",
  "--allow-env",
  "--allow-sys",
  // The same young generation, twice as large; with 100,000 pods it saves 100 MB under load, and costs nothing that could be measured.
  "--v8-flags=--max-semi-space-size=2",
] as const;
