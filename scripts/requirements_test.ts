import assert from "node:assert/strict";
import { candidates, installCommand, missing, packages, type Probe } from "./requirements.ts";

const nothing: Probe = { program: () => false, file: () => false, arch: "x86_64" };

Deno.test("missing() lists everything on an empty machine, by purpose", () => {
  assert.deepEqual(missing(["run"], nothing).map((one) => one.what), ["libbpf.so.1"]);
  assert.deepEqual(missing(["lab"], nothing).map((one) => one.what), ["ip", "nsenter", "openssl", "ping"]);
  assert.deepEqual(packages(missing(["run", "build"], nothing), "apt"), [
    "libbpf1",
    "clang",
    "libbpf-dev",
    "linux-libc-dev",
  ]);
});

Deno.test("missing() finds files where Debian and Fedora keep them", () => {
  for (const path of ["/usr/lib/x86_64-linux-gnu/libbpf.so.1", "/usr/lib64/libbpf.so.1"]) {
    assert.deepEqual(missing(["run"], { ...nothing, file: (file) => file === path }), []);
  }
  const arm = {
    ...nothing,
    arch: "aarch64",
    file: (file: string) => file === "/usr/lib/aarch64-linux-gnu/libbpf.so.1",
  };
  assert.deepEqual(missing(["run"], arm), []);
  assert(candidates("{include}/asm/types.h", "x86_64").includes("/usr/include/x86_64-linux-gnu/asm/types.h"));
});

Deno.test("installCommand() is what a person would type", () => {
  const lacking = missing(["build"], nothing);
  assert.equal(
    installCommand(lacking, "apt"),
    "apt-get install -y --no-install-recommends clang libbpf-dev linux-libc-dev",
  );
  assert.equal(installCommand(lacking, "dnf"), "dnf install -y clang libbpf-devel kernel-headers");
});
