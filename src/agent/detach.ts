import { EnvironmentError, oneLine, TextRequested, UsageError } from "../cli/errors.ts";
import { removeStaleFilters, type StaleFilter } from "../plugins/packetparser/attach.ts";

const HELP = `Usage: retina-agent detach

Removes the TC filters that a killed agent left on the interfaces of this network
namespace. The next agent does the same when it starts; use this when none will.
TCX attachments need no removal: the kernel drops them with the process.`;

/**
 * `retina-agent detach`: says what it removed, one line each.
 * @throws UsageError for any argument, EnvironmentError when the kernel refuses.
 */
export function detach(
  args: readonly string[],
  print: (line: string) => void,
  remove: () => readonly StaleFilter[] = removeStaleFilters,
): void {
  if (args.includes("--help") || args.includes("-h")) throw new TextRequested(HELP);
  if (args.length > 0) throw new UsageError(`Cannot use ${JSON.stringify(args[0])}: detach takes no arguments`);
  let removed: readonly StaleFilter[];
  try {
    removed = remove();
  } catch (error) {
    throw new EnvironmentError(oneLine(error));
  }
  for (const filter of removed) print(`Removed the ${filter.direction} filter on ${filter.interface}`);
  if (removed.length === 0) print("Nothing to remove");
}
