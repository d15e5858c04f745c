/** A network namespace of the lab and the ways to run something in it. */
import { type Output, run, type Running, type RunOptions, start, type StartOptions } from "../../scripts/process.ts";

export interface Namespace {
  /** Name for `ip -n NAME`. */
  readonly name: string;
  /** Path for `nsenter --net=PATH`. */
  readonly path: string;
  /** Runs a command in the namespace to its end. */
  run(command: string, args: readonly string[], options?: RunOptions): Promise<Output>;
  /** Starts a command in the namespace. */
  start(command: string, args: readonly string[], options?: StartOptions): Running;
  /** Runs a Deno program in the namespace: Deno's flags, file and arguments. */
  runDeno(args: readonly string[], options?: RunOptions): Promise<Output>;
  /** Starts a Deno program in the namespace. */
  startDeno(args: readonly string[], options?: StartOptions): Running;
  /** Carries out `ip` commands (one a line, without `ip`) in one batch. */
  ip(batch: string): Promise<void>;
}

/** The handle of a namespace that exists, or that the caller is about to make. */
export function namespace(name: string): Namespace {
  const path = `/var/run/netns/${name}`;
  // Only the network namespace changes, unlike `ip netns exec`, which also remounts /sys.
  const enter = (command: string, args: readonly string[]) => [`--net=${path}`, "--", command, ...args];
  const deno = Deno.execPath();
  return {
    name,
    path,
    run: (command, args, options) => run("nsenter", enter(command, args), options),
    start: (command, args, options) => start("nsenter", enter(command, args), options),
    runDeno: (args, options) => run("nsenter", enter(deno, ["run", "--no-prompt", ...args]), quiet(options)),
    startDeno: (args, options) => start("nsenter", enter(deno, ["run", "--no-prompt", ...args]), quiet(options)),
    async ip(batch) {
      await run("ip", ["-n", name, "-batch", "-"], { input: `${batch.trim()}\n` });
    },
  };
}

/** Deno asks for newer versions of itself in the background: DNS queries that no test sent. */
function quiet<Options extends { readonly env?: Record<string, string> }>(options: Options = {} as Options): Options {
  return { ...options, env: { DENO_NO_UPDATE_CHECK: "1", ...options.env } };
}
