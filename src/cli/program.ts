import { exitCodeOf, oneLine, TextRequested } from "./errors.ts";

/** What a program is given to run in. */
export interface ProgramContext {
  /** Aborted by SIGINT, SIGTERM or an error that nothing caught: stop, undo, return. */
  readonly signal: AbortSignal;
}

/** How long a program may take to undo what it did after it was told to stop, in milliseconds. */
const STOP_LIMIT_MS = 20_000;

/**
 * Signals within this time are one: a terminal sends Ctrl-C to the whole process group, and npm and `deno task` pass theirs
 * on to the same process again. In milliseconds.
 */
const SAME_SIGNAL_MS = 1000;

/**
 * Runs a program to its end and gives its exit code: 0 when it returned or was told to stop, 2 for a usage error, 1 for any
 * other. An error that nothing caught stops the program in the same orderly way, so that what it attached to the kernel is
 * detached. A second signal a second later or more, or a stop that takes longer than 20 s, ends the process at once.
 */
export async function runProgram(name: string, main: (context: ProgramContext) => Promise<void>): Promise<number> {
  const stop = new AbortController();
  let fatal: unknown;
  let limit: ReturnType<typeof setTimeout> | undefined;
  const halt = (why: string) => {
    if (!stop.signal.aborted) {
      limit = setTimeout(() => die(name, "Stopping took too long"), STOP_LIMIT_MS);
      Deno.unrefTimer(Number(limit));
    }
    stop.abort(why);
  };
  let signalledAt: number | undefined;
  const onSignal = () => {
    signalledAt ??= performance.now();
    if (performance.now() - signalledAt >= SAME_SIGNAL_MS) {
      die(name, "Stopped by a second signal before everything was undone");
    }
    halt("signal");
  };
  const onError = (event: ErrorEvent | PromiseRejectionEvent) => {
    event.preventDefault();
    const error: unknown = event instanceof ErrorEvent ? event.error ?? event.message : event.reason;
    console.error(`${name}: unhandled error: ${error instanceof Error ? error.stack ?? error.message : String(error)}`);
    fatal ??= error;
    halt("unhandled error");
  };
  for (const signal of ["SIGINT", "SIGTERM"] as const) Deno.addSignalListener(signal, onSignal);
  globalThis.addEventListener("error", onError);
  globalThis.addEventListener("unhandledrejection", onError);
  try {
    await main({ signal: stop.signal });
    return fatal === undefined ? 0 : 1;
  } catch (error) {
    if (error instanceof TextRequested) console.log(error.message);
    else console.error(`${name}: ${oneLine(error)}`);
    return fatal === undefined ? exitCodeOf(error) : 1;
  } finally {
    clearTimeout(limit);
    for (const signal of ["SIGINT", "SIGTERM"] as const) Deno.removeSignalListener(signal, onSignal);
    globalThis.removeEventListener("error", onError);
    globalThis.removeEventListener("unhandledrejection", onError);
  }
}

/** Resolves when the signal is aborted. */
export function aborted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve();
  return new Promise((resolve) => signal.addEventListener("abort", () => resolve(), { once: true }));
}

function die(name: string, why: string): never {
  console.error(`${name}: ${why}`);
  Deno.exit(1);
}
