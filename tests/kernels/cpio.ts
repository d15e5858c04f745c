/**
 * Writer of cpio archives in the "newc" form, the one that the kernel unpacks as its initial file system
 * (Documentation/driver-api/early-userspace/buffer-format.rst): a header of 110 ASCII characters, the name with a NUL, the content,
 * both padded to four bytes, one entry after another, and an entry named `TRAILER!!!` at the end.
 */

/** One entry. Names are relative to the root, without a leading slash. */
export type CpioEntry =
  | { readonly kind: "directory"; readonly name: string }
  | { readonly kind: "file"; readonly name: string; readonly content: Uint8Array; readonly executable?: boolean }
  | { readonly kind: "link"; readonly name: string; readonly target: string }
  | { readonly kind: "device"; readonly name: string; readonly major: number; readonly minor: number };

/** File type bits of `st_mode` (`inode(7)`) with the permissions that an entry gets. */
const Mode = { DIRECTORY: 0o040755, FILE: 0o100644, PROGRAM: 0o100755, LINK: 0o120777, DEVICE: 0o020600 } as const;

const MAGIC = "070701";
const TRAILER = "TRAILER!!!";
const NOTHING = new Uint8Array(0);

/** Writes an archive piece by piece, so that a large file is never copied. Directories that an entry needs come before it by themselves. */
export function* writeCpio(entries: Iterable<CpioEntry>): Generator<Uint8Array, void, undefined> {
  const directories = new Set<string>();
  let inode = 1;
  for (const entry of entries) {
    if (entry.name === "" || entry.name.startsWith("/") || entry.name.split("/").includes("..")) {
      throw new RangeError(
        `Cannot write cpio entry ${JSON.stringify(entry.name)}: expected a name relative to the root`,
      );
    }
    for (const name of [...parents(entry.name), ...(entry.kind === "directory" ? [entry.name] : [])]) {
      if (directories.has(name)) continue;
      directories.add(name);
      yield* member(inode++, name, Mode.DIRECTORY, NOTHING);
    }
    if (entry.kind === "file") {
      yield* member(inode++, entry.name, entry.executable ? Mode.PROGRAM : Mode.FILE, entry.content);
    } else if (entry.kind === "link") {
      yield* member(inode++, entry.name, Mode.LINK, new TextEncoder().encode(entry.target));
    } else if (entry.kind === "device") {
      yield* member(inode++, entry.name, Mode.DEVICE, NOTHING, entry.major, entry.minor);
    }
  }
  yield* member(0, TRAILER, 0, NOTHING);
}

function parents(name: string): string[] {
  const parts = name.split("/").slice(0, -1);
  return parts.map((_, index) => parts.slice(0, index + 1).join("/"));
}

function* member(
  inode: number,
  name: string,
  mode: number,
  content: Uint8Array,
  major = 0,
  minor = 0,
): Generator<Uint8Array, void, undefined> {
  const text = new TextEncoder().encode(`${name}\0`);
  // inode, mode, uid, gid, links, mtime, size, device of the file (2), device number (2), length of the name, checksum
  const fields = [inode, mode, 0, 0, 1, 0, content.length, 0, 0, major, minor, text.length, 0];
  const header = MAGIC + fields.map((field) => field.toString(16).padStart(8, "0")).join("");
  const head = new Uint8Array(padded(header.length + text.length));
  head.set(new TextEncoder().encode(header));
  head.set(text, header.length);
  yield head;
  if (content.length > 0) yield content;
  if (padded(content.length) > content.length) yield new Uint8Array(padded(content.length) - content.length);
}

function padded(length: number): number {
  return Math.ceil(length / 4) * 4;
}
