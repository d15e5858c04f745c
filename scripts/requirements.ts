/** What a machine needs besides Deno, how to see whether it is there, and which package brings it. */

/** What the agent needs to run, what building its eBPF objects needs, and what the lab of tests and demo needs. */
export type Purpose = "run" | "build" | "lab";

export interface Requirement {
  readonly what: string;
  readonly purpose: Purpose;
  /** Where it may be: program names to look for on PATH, or files with `{lib}` and `{include}` standing for the usual folders. */
  readonly program?: string;
  readonly file?: string;
  /** Package names. */
  readonly apt: string;
  readonly dnf: string;
}

export const REQUIREMENTS: readonly Requirement[] = [
  { what: "libbpf.so.1", purpose: "run", file: "{lib}/libbpf.so.1", apt: "libbpf1", dnf: "libbpf" },
  { what: "clang", purpose: "build", program: "clang", apt: "clang", dnf: "clang" },
  {
    what: "bpf/bpf_helpers.h",
    purpose: "build",
    file: "{include}/bpf/bpf_helpers.h",
    apt: "libbpf-dev",
    dnf: "libbpf-devel",
  },
  {
    what: "linux/bpf.h",
    purpose: "build",
    file: "{include}/linux/bpf.h",
    apt: "linux-libc-dev",
    dnf: "kernel-headers",
  },
  {
    what: "asm/types.h",
    purpose: "build",
    file: "{include}/asm/types.h",
    apt: "linux-libc-dev",
    dnf: "kernel-headers",
  },
  { what: "ip", purpose: "lab", program: "ip", apt: "iproute2", dnf: "iproute" },
  { what: "nsenter", purpose: "lab", program: "nsenter", apt: "util-linux", dnf: "util-linux" },
  { what: "openssl", purpose: "lab", program: "openssl", apt: "openssl", dnf: "openssl" },
  { what: "ping", purpose: "lab", program: "ping", apt: "iputils-ping", dnf: "iputils" },
];

/** How to look at the machine. */
export interface Probe {
  program(name: string): boolean;
  file(path: string): boolean;
  /** `x86_64` or `aarch64`. */
  readonly arch: string;
}

/** The requirements of these purposes that the machine does not meet. */
export function missing(purposes: readonly Purpose[], probe: Probe): Requirement[] {
  return REQUIREMENTS.filter((requirement) => purposes.includes(requirement.purpose) && !isMet(requirement, probe));
}

function isMet(requirement: Requirement, probe: Probe): boolean {
  if (requirement.program !== undefined) return probe.program(requirement.program);
  return candidates(requirement.file ?? "", probe.arch).some((path) => probe.file(path));
}

/** The paths that a file may have: Debian keeps what differs between architectures in folders named after them. */
export function candidates(file: string, arch: string): string[] {
  const triple = `${arch}-linux-gnu`;
  const lib = [`/usr/lib/${triple}`, `/lib/${triple}`, "/usr/lib64", "/lib64", "/usr/lib", "/lib", "/usr/local/lib"];
  const include = ["/usr/include", `/usr/include/${triple}`, "/usr/local/include"];
  if (file.startsWith("{lib}")) return lib.map((folder) => file.replace("{lib}", folder));
  if (file.startsWith("{include}")) return include.map((folder) => file.replace("{include}", folder));
  return [file];
}

/** Package managers that an install command is known for. */
export type PackageManager = "apt" | "dnf";

/** The command that installs what is missing, as a person types it. */
export function installCommand(lacking: readonly Requirement[], manager: PackageManager): string {
  const names = packages(lacking, manager).join(" ");
  return manager === "apt" ? `apt-get install -y --no-install-recommends ${names}` : `dnf install -y ${names}`;
}

/** The packages of these requirements, each once. */
export function packages(lacking: readonly Requirement[], manager: PackageManager): string[] {
  return [...new Set(lacking.map((requirement) => requirement[manager]))];
}
