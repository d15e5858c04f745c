/** Kernel modules: what a module needs, and in which order to load them. Packages carry no modules.dep, depmod makes it at installation. */

/**
 * Names in the `depends=` entry of a module's `.modinfo` section, a list of NUL-terminated `key=value` strings.
 * Looking for the string spares an ELF reader: no other section of a module holds it between NULs.
 *
 * @param module the uncompressed file
 */
export function moduleDependencies(module: Uint8Array): string[] {
  const key = new TextEncoder().encode("\0depends=");
  for (let at = module.indexOf(0); at >= 0; at = module.indexOf(0, at + 1)) {
    if (!key.every((byte, index) => module[at + index] === byte)) continue;
    const start = at + key.length;
    const value = new TextDecoder().decode(module.subarray(start, module.indexOf(0, start)));
    return value === "" ? [] : value.split(",").map(normalName);
  }
  return [];
}

/** The name of a module by its file: the kernel reads `-` and `_` as the same character. */
export function normalName(file: string): string {
  return file.slice(file.lastIndexOf("/") + 1).replace(/\.ko(\..*)?$/, "").replaceAll("-", "_");
}

/**
 * Orders modules so that each comes after those that it needs.
 *
 * @param dependencies what a module needs; undefined for a module that is no file, which means that it is part of the kernel
 */
export function loadOrder(wanted: readonly string[], dependencies: (name: string) => string[] | undefined): string[] {
  const order = new Set<string>();
  const visit = (name: string, path: readonly string[]) => {
    if (order.has(name)) return;
    if (path.includes(name)) throw new Error(`Cannot order kernel modules: ${[...path, name].join(" needs ")}`);
    const needed = dependencies(name);
    if (needed === undefined) return;
    for (const one of needed) visit(one, [...path, name]);
    order.add(name);
  };
  for (const name of wanted) visit(normalName(name), []);
  return [...order];
}
