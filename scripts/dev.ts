/**
 * `deno task dev`: set-up, eBPF build, and the agent on this machine's own interfaces and pods, printing every flow. Its
 * servers listen on loopback addresses only. Further arguments go to the agent: `deno task dev --hubble-port 4300`.
 */
import { buildBpf, BuildError } from "./build_bpf.ts";
import { AGENT } from "./permissions.ts";
import { runScript, setup, SetupError } from "./setup.ts";

const ROOT = new URL("../", import.meta.url).pathname;

/** Options of a first look; an option given by the user comes later on the command line and wins. */
const FIRST_LOOK = [
  ["--extra-interfaces", "auto"],
  ["--pod-level"],
  ["--hubble-address", "127.0.0.1"],
  ["--metrics-address", "127.0.0.1"],
  ["--print"],
];

/** The agent's arguments: the first look's options but those that the user gave, then the user's. */
export function agentArguments(given: readonly string[]): string[] {
  const named = new Set(given.map((argument) => argument.split("=")[0]));
  return [...FIRST_LOOK.filter(([flag]) => !named.has(flag)).flat(), ...given];
}

/** Builds the eBPF objects; what is up to date is left alone. */
export async function build(): Promise<void> {
  try {
    await buildBpf({
      onObject: (path, compiled) => compiled && console.error(`Built ${path.slice(path.lastIndexOf("/") + 1)}`),
    });
  } catch (error) {
    throw error instanceof BuildError ? new SetupError(error.message) : error;
  }
}

async function main(): Promise<number> {
  if (Deno.uid() !== 0) {
    throw new SetupError("Loading eBPF programs needs root: run `sudo npx --yes deno@2.9.6 task dev`");
  }
  await setup(["run", "build"]);
  await build();
  // In a process group of its own, the agent gets each signal once: from here, whether Ctrl-C was pressed or a script
  // sent the signal. A second one would make it give up before everything is detached.
  const child = new Deno.Command(Deno.execPath(), {
    args: ["run", ...AGENT, "main.ts", ...agentArguments(Deno.args)],
    cwd: ROOT,
    detached: true,
  }).spawn();
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
    Deno.addSignalListener(signal, () => child.kill("SIGTERM"));
  }
  return (await child.status).code;
}

if (import.meta.main) await runScript(main);
