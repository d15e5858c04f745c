/**
 * Names of lab namespaces say who owns them, so that what a crashed run left behind can be told from what a running one uses.
 *
 * A name is `rlab-PIDNS-PID-START-RANDOM-ROLE`: the inode of the owner's PID namespace, its process id, its start time in
 * clock ticks since boot (`proc_pid_stat(5)`, field 22; process ids are used again, the pair is not), a random part, and
 * what the namespace is in the lab.
 */
import { run } from "../../scripts/process.ts";

const FOLDER = "/var/run/netns";
const NAME = /^rlab-(\d+)-(\d+)-(\d+)-[0-9a-f]+-\w+$/;

/** The part of a name that tells the owner: this process. */
export function ownerPrefix(): string {
  return `rlab-${pidNamespace()}-${Deno.pid}-${startTime(Deno.pid)}`;
}

/** A fresh prefix for the namespaces of one lab of this process. */
export function labPrefix(): string {
  const random = crypto.getRandomValues(new Uint8Array(4));
  return `${ownerPrefix()}-${[...random].map((byte) => byte.toString(16).padStart(2, "0")).join("")}`;
}

/** Whether `name` belongs to a lab whose owner is gone. False for names that no lab gave, and for other PID namespaces. */
export function isAbandoned(name: string): boolean {
  const match = NAME.exec(name);
  if (match === null || match[1] !== pidNamespace()) return false;
  return startTime(Number(match[2])) !== match[3];
}

/** Removes the namespaces of labs whose owners are gone, with the processes inside. Returns the names that it removed. */
export async function sweepAbandoned(): Promise<string[]> {
  const removed: string[] = [];
  for (const name of listNamespaces()) {
    if (!isAbandoned(name)) continue;
    await removeNamespace(name);
    removed.push(name);
  }
  return removed;
}

/** Ends the processes in a network namespace and removes it. A namespace that is gone already is no error. */
export async function removeNamespace(name: string): Promise<void> {
  // Ctrl-C reaches `ip` too, which then does nothing.
  for (let tries = 0; tries < 3 && listNamespaces().includes(name); tries++) await tryRemove(name);
}

async function tryRemove(name: string): Promise<void> {
  const inside = await run("ip", ["netns", "pids", name], { allowFailure: true });
  for (const pid of inside.stdout.split("\n").filter((line) => line !== "")) {
    try {
      Deno.kill(Number(pid), "SIGKILL");
    } catch { /* it has ended meanwhile */ }
  }
  await run("ip", ["netns", "del", name], { allowFailure: true });
}

/** Names of the network namespaces of this machine. */
export function listNamespaces(): string[] {
  try {
    return [...Deno.readDirSync(FOLDER)].map((entry) => entry.name).sort();
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return []; // `ip netns add` makes the folder
    throw error;
  }
}

function pidNamespace(): string {
  return /\d+/.exec(Deno.readLinkSync("/proc/self/ns/pid"))?.[0] ?? "0";
}

function startTime(pid: number): string | undefined {
  try {
    const stat = Deno.readTextFileSync(`/proc/${pid}/stat`);
    // The command name, field 2, is in parentheses and may hold spaces and parentheses itself.
    return stat.slice(stat.lastIndexOf(")") + 2).split(" ")[19];
  } catch {
    return undefined;
  }
}
