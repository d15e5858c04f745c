/**
 * `deno task setup`: looks for what the machine lacks to build, run and test the agent. As root on Debian or Ubuntu it
 * installs it; elsewhere it prints the command that would, and exits with 1.
 */
import { CommandError, run, which } from "./process.ts";
import { installCommand, missing, type PackageManager, packages, type Probe, type Purpose } from "./requirements.ts";

const machine: Probe = {
  program: (name) => which(name) !== undefined,
  file: (path) => {
    try {
      return Deno.statSync(path).isFile;
    } catch {
      return false;
    }
  },
  arch: Deno.build.arch,
};

/** Something that the user must do before the program can go on; its message is for them. */
export class SetupError extends Error {
  override readonly name = "SetupError";
}

/** Sees to it that everything for these purposes is there. @throws SetupError with the command to type. */
export async function setup(purposes: readonly Purpose[]): Promise<void> {
  const lacking = missing(purposes, machine);
  if (lacking.length === 0) return;
  const names = lacking.map((requirement) => requirement.what).join(", ");
  const manager: PackageManager = machine.program("dnf") && !machine.program("apt-get") ? "dnf" : "apt";
  const command = installCommand(lacking, manager);
  if (manager !== "apt" || !machine.program("apt-get")) {
    throw new SetupError(`Not found: ${names}. Install them, for example with: ${command}`);
  }
  if (Deno.uid() !== 0) throw new SetupError(`Not found: ${names}. Install them with: sudo ${command}`);

  console.error(`Installing ${packages(lacking, manager).join(", ")} (for ${names})`);
  await aptInstall(packages(lacking, manager));
  const still = missing(purposes, machine);
  if (still.length > 0) {
    throw new SetupError(`Not found after installing: ${still.map((requirement) => requirement.what).join(", ")}`);
  }
}

/** Installs with the package lists as they are, and refreshes them only when that fails: a fresh image has none. */
async function aptInstall(names: readonly string[]): Promise<void> {
  const apt = (...args: string[]) =>
    run("apt-get", args, { env: { DEBIAN_FRONTEND: "noninteractive" }, timeoutMs: 15 * 60_000 });
  const install = () => apt("install", "-y", "--no-install-recommends", ...names);
  try {
    await install().catch(async (error) => {
      if (!(error instanceof CommandError)) throw error;
      await apt("update");
      await install();
    });
  } catch (error) {
    if (!(error instanceof CommandError)) throw error;
    throw new SetupError(`Failed to install ${names.join(", ")}\n${error.output.stdout}${error.message}`);
  }
}

/** Runs a script's main function; a {@link SetupError} or failed command becomes its message and exit code 1. */
export async function runScript(main: () => Promise<number | void>): Promise<never> {
  try {
    Deno.exit(await main() ?? 0);
  } catch (error) {
    if (!(error instanceof SetupError || error instanceof CommandError)) throw error;
    console.error(error.message);
    Deno.exit(1);
  }
}

if (import.meta.main) {
  await runScript(async () => {
    await setup(["run", "build", "lab"]);
    console.error("Everything is there");
  });
}
