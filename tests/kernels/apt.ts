/**
 * Debian packages by apt, with a configuration, lists and a package state of its own: the machine's are read (where its mirror
 * is, how to reach it) and never changed. Downloads are verified by apt against Debian's keys.
 */
import { run } from "../../scripts/process.ts";
import { findMirror, type Mirror, type Package, parseIndex, sourcesList } from "./packages.ts";

/** Where Debian installs the keys of its archives; old releases stay in it. */
const KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg";

/** Lists older than this are fetched again, in milliseconds. */
const FRESH = 24 * 3600_000;
const UPDATE_TIMEOUT = 300_000;
const DOWNLOAD_TIMEOUT = 300_000;

export interface Apt {
  /** All versions of packages that the lists know; names that they do not know are left out. */
  show(names: readonly string[]): Promise<Package[]>;
  /** Downloads packages into a folder. */
  download(packages: readonly Package[], folder: string): Promise<void>;
}

export interface AptOptions {
  /** Folder for configuration and lists. */
  readonly folder: string;
  /** Address of a Debian archive; default: what the machine's own sources name. */
  readonly mirror?: string;
  /** Fetch the lists even when they are fresh. */
  readonly update?: boolean;
}

/** @throws {Error} when no Debian mirror is known, or it cannot be reached. */
export async function openApt({ folder, mirror, update = false }: AptOptions): Promise<Apt> {
  await Deno.mkdir(`${folder}/lists/partial`, { recursive: true });
  await Deno.mkdir(`${folder}/cache/archives/partial`, { recursive: true });
  const found = mirror === undefined ? await machineMirror() : { archive: mirror };
  const list = sourcesList(found, exists(KEYRING) ? KEYRING : undefined);
  const stamp = `${folder}/updated`;
  const stale = !(age(stamp) < FRESH) || list !== await read(`${folder}/sources.list`);
  await Deno.writeTextFile(`${folder}/sources.list`, list);
  await Deno.writeTextFile(`${folder}/apt.conf`, configuration(folder));
  const option = ["-c", `${folder}/apt.conf`];

  if (update || stale) {
    await Deno.remove(stamp).catch(() => {});
    // One suite that the mirror does not carry makes apt fail, although it has read the others.
    const output = await run("apt-get", [...option, "update"], { timeoutMs: UPDATE_TIMEOUT, allowFailure: true });
    const known = await run("apt-cache", [...option, "pkgnames", "linux-image-cloud"], { allowFailure: true });
    if (known.stdout.trim() === "") {
      throw new Error(
        `Cannot read package lists: expected a Debian archive at ${found.archive}\n${output.stderr.trim()}`,
      );
    }
    await Deno.writeTextFile(stamp, "");
  }
  return {
    async show(names) {
      if (names.length === 0) return [];
      const { stdout } = await run("apt-cache", [...option, "show", ...names], { allowFailure: true });
      return parseIndex(stdout);
    },
    async download(packages, target) {
      const wanted = packages.map(({ name, version }) => `${name}=${version}`);
      await run("apt-get", [...option, "download", ...wanted], { cwd: target, timeoutMs: DOWNLOAD_TIMEOUT });
    },
  };
}

async function machineMirror(): Promise<Mirror> {
  const { stdout } = await run("apt-get", [
    "indextargets",
    "--format",
    "$(REPO_URI) $(RELEASE)",
    "Created-By: Packages",
  ]);
  const mirror = findMirror(stdout);
  if (mirror === undefined) {
    throw new Error("Cannot find a Debian mirror: this machine's apt sources name none, give one with --mirror URL");
  }
  return mirror;
}

/** Overrides in an apt.conf(5); what is not named here (proxies, credentials) is the machine's. */
function configuration(folder: string): string {
  return `// Hooks of the machine would work on the machine's lists.
#clear APT::Update::Pre-Invoke;
#clear APT::Update::Post-Invoke;
#clear APT::Update::Post-Invoke-Success;
Dir::State "${folder}";
Dir::State::lists "${folder}/lists";
Dir::State::status "/dev/null";
Dir::Cache "${folder}/cache";
// Container images switch these off; without them every call reads all lists again.
Dir::Cache::pkgcache "pkgcache.bin";
Dir::Cache::srcpkgcache "srcpkgcache.bin";
Dir::Etc::sourcelist "${folder}/sources.list";
Dir::Etc::sourceparts "/dev/null";
Dir::Etc::preferences "/dev/null";
Dir::Etc::preferencesparts "/dev/null";
Acquire::Languages "none";
Acquire::IndexTargets::deb::DEP-11::DefaultEnabled "false";
Acquire::IndexTargets::deb::DEP-11-icons-small::DefaultEnabled "false";
Acquire::IndexTargets::deb::DEP-11-icons::DefaultEnabled "false";
// A release that gets no more updates is exactly what the old kernels come from.
Acquire::Check-Valid-Until "false";
// The folder belongs to whoever runs the task; apt's own user cannot write there.
APT::Sandbox::User "root";
`;
}

function exists(path: string): boolean {
  return !Number.isNaN(age(path));
}

/** Milliseconds since the last change of a file; NaN when it is not there. */
function age(path: string): number {
  try {
    return Date.now() - (Deno.statSync(path).mtime?.getTime() ?? 0);
  } catch {
    return NaN;
  }
}

async function read(path: string): Promise<string> {
  return await Deno.readTextFile(path).catch(() => "");
}
