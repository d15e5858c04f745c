import assert from "node:assert/strict";
import { chooseMode, programName } from "./attach.ts";
import { chooseTransport } from "./loader.ts";
import { checkSizes, type PacketparserOptions } from "./options.ts";

const options: PacketparserOptions = {
  ...{ extraInterfaces: [], podLevel: false, tcAttach: "auto", eventTransport: "auto", samplingRate: 1 },
  ...{ ringBufferSize: 8 << 20, perfPages: 64, conntrackEntries: 1024 },
};

Deno.test("checkSizes() takes powers of two that are whole pages", () => {
  checkSizes(options, 4096);
  checkSizes({ ...options, ringBufferSize: 4096, perfPages: 1 }, 4096);
  for (const ringBufferSize of [0, -4096, 2048, 12288, 4097, 2 ** 31, NaN]) {
    assert.throws(
      () => checkSizes({ ...options, ringBufferSize }, 4096),
      new RegExp(`^RangeError: Cannot use --ring-buffer-size ${ringBufferSize}: expected a power of two from 4096`),
    );
  }
  assert.throws(() => checkSizes({ ...options, ringBufferSize: 4096 }, 65536), /from 65536 \(the page size\)/);
  for (const perfPages of [0, 3, 32768]) {
    assert.throws(() => checkSizes({ ...options, perfPages }, 4096), /Cannot use --perf-pages/);
  }
});

Deno.test("chooseTransport() takes the ring where there is one", () => {
  const has = () => true;
  const hasNot = () => false;
  assert.equal(chooseTransport("auto", has), "ring");
  assert.equal(chooseTransport("auto", hasNot), "perf");
  assert.equal(chooseTransport("perf", has), "perf");
  assert.equal(chooseTransport("ring", has), "ring");
  assert.throws(() => chooseTransport("ring", hasNot), /Cannot use --event-transport ring: .* Linux 5\.8/);
});

Deno.test("chooseMode() takes TCX where there is one", () => {
  const has = () => true;
  const hasNot = () => false;
  assert.equal(chooseMode("auto", has), "tcx");
  assert.equal(chooseMode("auto", hasNot), "legacy");
  assert.equal(chooseMode("legacy", has), "legacy");
  assert.equal(chooseMode("tcx", has), "tcx");
  assert.throws(() => chooseMode("tcx", hasNot), /Cannot use --tc-attach tcx: .* Linux 6\.6/);
});

Deno.test("programName() follows point, direction and header", () => {
  const role = { point: "host", ethernet: true, ingressOnly: false } as const;
  assert.equal(programName(role, "ingress"), "host_ingress");
  assert.equal(programName({ ...role, ethernet: false }, "egress"), "host_egress_l3");
  assert.equal(programName({ ...role, point: "endpoint" }, "egress"), "endpoint_egress");
});
