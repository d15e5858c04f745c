/** A mistake in how the program was called: one line to the user, exit code 2. */
export class UsageError extends Error {
  override name = "UsageError";
}

/** Something that the surroundings lack (a port, a capability, a device): one line to the user, exit code 1. */
export class EnvironmentError extends Error {
  override name = "EnvironmentError";
}

/** The program was asked for a text (`--help`, `--version`) and not to run: exit code 0. */
export class TextRequested extends Error {
  override name = "TextRequested";
}

/** Exit code of a program that failed with `error`: 2 for usage, 1 for everything else. */
export function exitCodeOf(error: unknown): number {
  return error instanceof UsageError ? 2 : error instanceof TextRequested ? 0 : 1;
}

/** The error and its causes as one line: what a person reads before the prompt comes back. */
export function oneLine(error: unknown): string {
  const parts: string[] = [];
  for (let e: unknown = error; e !== undefined && parts.length < 4; e = e instanceof Error ? e.cause : undefined) {
    const text = (e instanceof Error ? e.message || e.name : String(e)).replace(/\s*\n\s*/g, "; ").trim();
    if (text !== "" && !parts.some((part) => part.includes(text))) parts.push(text);
  }
  return parts.join(": ");
}
