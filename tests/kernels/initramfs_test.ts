import assert from "node:assert/strict";
import { guestSources } from "./initramfs.ts";

Deno.test("guestSources() finds what the guest's programs import, and no package among it", async () => {
  const paths = await guestSources(); // throws for a package: the guest has no network to fetch it from
  for (const path of ["ffi/libbpf.ts", "src/plugins/packetparser/loader.ts", "tests/lab/tools/dns.ts"]) {
    assert(paths.includes(path), path);
  }
  assert.deepEqual([...new Set(paths)].sort(), paths);
});
