/** Debian's package metadata, as far as finding kernels needs it: index stanzas, version order, sources. Pure. */

/** One binary package of an index. */
export interface Package {
  readonly name: string;
  readonly version: string;
  /** Names of the packages that it depends on; alternatives and versions are left out. */
  readonly depends: readonly string[];
}

/** Metapackage that depends on the present kernel of a suite, built for virtual machines: few drivers, quick to boot. */
export const KERNEL_METAPACKAGE = "linux-image-cloud-amd64";

/** Suites that hold the kernels that the matrix wants. A mirror need not have them all. */
export const SUITES = {
  archive: ["bullseye", "bookworm", "trixie", "trixie-backports", "forky", "unstable"],
  security: ["bullseye-security", "bookworm-security", "trixie-security"],
} as const;

const CODENAMES = /^(?:bullseye|bookworm|trixie|forky|duke|sid|stable|oldstable|oldoldstable|testing|unstable)$/;

/** Addresses of the archives that a machine uses; `security` is absent where it has no such source. */
export interface Mirror {
  readonly archive: string;
  readonly security?: string;
}

/**
 * Finds the machine's Debian mirror in the output of `apt-get indextargets --format '$(REPO_URI) $(RELEASE)'`, by the suites that
 * its sources name, since a mirror may have any path. Undefined when no source is one of Debian's.
 */
export function findMirror(targets: string): Mirror | undefined {
  let archive: string | undefined;
  let security: string | undefined;
  for (const line of targets.split("\n")) {
    const [uri, release = ""] = line.trim().split(/\s+/);
    if (CODENAMES.test(release)) archive ??= uri;
    else if (CODENAMES.test(release.replace(/(-security|\/updates)$/, ""))) security ??= uri;
  }
  if (archive === undefined) return undefined;
  return { archive, ...(security === undefined ? {} : { security }) };
}

/** A `sources.list(5)` with one line a suite, so that a suite that the mirror lacks does not hide the others. */
export function sourcesList(mirror: Mirror, keyring: string | undefined): string {
  const options = keyring === undefined ? "" : ` [signed-by=${keyring}]`;
  const lines = SUITES.archive.map((suite) => `deb${options} ${mirror.archive} ${suite} main`);
  if (mirror.security !== undefined) {
    lines.push(...SUITES.security.map((suite) => `deb${options} ${mirror.security} ${suite} main`));
  }
  return lines.join("\n") + "\n";
}

/** Reads the stanzas of an index or of `apt-cache show` (deb822(5)). Stanzas without name or version are passed over. */
export function parseIndex(text: string): Package[] {
  const packages: Package[] = [];
  for (const stanza of text.split(/\n[ \t]*\n/)) {
    const fields = new Map<string, string>();
    let last = "";
    for (const line of stanza.split("\n")) {
      if (/^[ \t]/.test(line)) {
        fields.set(last, `${fields.get(last) ?? ""} ${line.trim()}`);
        continue;
      }
      const colon = line.indexOf(":");
      if (colon <= 0) continue;
      last = line.slice(0, colon).toLowerCase();
      fields.set(last, line.slice(colon + 1).trim());
    }
    const name = fields.get("package");
    const version = fields.get("version");
    if (name === undefined || version === undefined) continue;
    packages.push({ name, version, depends: parseDepends(fields.get("depends") ?? "") });
  }
  return packages;
}

function parseDepends(text: string): string[] {
  return text.split(/[,|]/).map((part) => part.trim().split(/[\s(:[]/)[0]).filter((name) => name !== "");
}

/** Orders two versions as dpkg does (deb-version(7)): negative, zero or positive. */
export function compareVersions(left: string, right: string): number {
  const a = splitVersion(left);
  const b = splitVersion(right);
  return a.epoch - b.epoch || compareParts(a.upstream, b.upstream) || compareParts(a.revision, b.revision);
}

function splitVersion(version: string): { epoch: number; upstream: string; revision: string } {
  const colon = version.indexOf(":");
  const rest = version.slice(colon + 1);
  const dash = rest.lastIndexOf("-");
  return {
    epoch: colon < 0 ? 0 : Number(version.slice(0, colon)),
    upstream: dash < 0 ? rest : rest.slice(0, dash),
    revision: dash < 0 ? "" : rest.slice(dash + 1),
  };
}

/** Text and numbers in turn, text first. In text letters are less than other characters, and `~` is less than the end. */
function compareParts(left: string, right: string): number {
  const a = left.split(/(\d+)/);
  const b = right.split(/(\d+)/);
  for (let index = 0; index < Math.max(a.length, b.length); index++) {
    const [one, other] = [a[index] ?? "", b[index] ?? ""];
    const order = index % 2 === 1 ? Number(one) - Number(other) : compareText(one, other);
    if (order !== 0) return order;
  }
  return 0;
}

function compareText(left: string, right: string): number {
  const weight = (character: string | undefined) => {
    if (character === undefined) return 0;
    if (character === "~") return -1;
    return /[A-Za-z]/.test(character) ? character.charCodeAt(0) : character.charCodeAt(0) + 256;
  };
  for (let index = 0; index < Math.max(left.length, right.length); index++) {
    const order = weight(left[index]) - weight(right[index]);
    if (order !== 0) return order;
  }
  return 0;
}

/** The newest version of the kernel metapackage in a series such as `6.1`, or of all for `newest`. */
export function chooseKernel(packages: readonly Package[], series: string): Package | undefined {
  return packages
    .filter((one) => one.name === KERNEL_METAPACKAGE && (series === "newest" || one.version.startsWith(`${series}.`)))
    .sort((one, other) => compareVersions(other.version, one.version))[0];
}

/** Whether a package holds parts of a kernel. Image and modules are one package up to 6.12 and several in newer kernels. */
export function isKernelPart(name: string): boolean {
  return /^linux-(?:image|binary|modules)-\d/.test(name);
}
