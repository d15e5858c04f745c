import assert from "node:assert/strict";
import { bpfHint, check, LibbpfError, SystemError } from "./error.ts";
import { Errno, errnoName } from "./errno.ts";

Deno.test("errnoName() knows the usual numbers and prints the others", () => {
  assert.equal(errnoName(1), "EPERM");
  assert.equal(errnoName(524), "ENOTSUPP");
  assert.equal(errnoName(4003), "errno 4003");
});

Deno.test("check() passes results on and throws for negative ones", () => {
  assert.equal(check("Do it", 0), 0);
  assert.equal(check("Do it", 17), 17);
  assert.throws(() => check("Attach to eth9", -Errno.ENODEV), (error: unknown) => {
    assert.ok(error instanceof LibbpfError && error instanceof SystemError);
    assert.equal(
      error.message,
      "Attach to eth9: ENODEV: there is no such interface, it may have been removed meanwhile",
    );
    assert.equal(error.code, "ENODEV");
    assert.equal(error.errno, 19);
    return true;
  });
});

Deno.test("bpfHint() tells the verifier, BTF, memory and permission apart", () => {
  assert.match(bpfHint(Errno.EPERM) ?? "", Deno.uid() === 0 ? /memlock/ : /run as root/);
  assert.match(bpfHint(Errno.ENOMEM) ?? "", /memory/);
  assert.match(bpfHint(Errno.EACCES, "-- BEGIN PROG LOAD LOG --\nR1 invalid") ?? "", /verifier/);
  assert.match(bpfHint(3, "libbpf: failed to find valid kernel BTF") ?? "", /CONFIG_DEBUG_INFO_BTF/);
  assert.equal(bpfHint(Errno.EACCES), undefined);
  assert.equal(bpfHint(Errno.EEXIST), undefined);
});
