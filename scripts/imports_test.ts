import assert from "node:assert/strict";
import { type Import, importsOf, layerOf, violations } from "./imports.ts";

function from(file: string, to: string, more: Partial<Import> = {}): Import {
  return { from: file, specifier: to, to, dynamic: false, typeOnly: false, ...more };
}

Deno.test("violations() accepts what the design allows", () => {
  assert.deepEqual(
    violations([
      from("main.ts", "src/agent/run.ts"),
      from("src/agent/run.ts", "src/hubble/server.ts"),
      from("src/agent/run.ts", "src/operator/embedded.ts", { dynamic: true }),
      from("src/plugins/packetparser/reader.ts", "ffi/ring.ts"),
      from("src/hubble/observer.ts", "src/flow/store.ts"),
      from("src/flow/encoder.ts", "proto/gen/flow/flow_pb.ts"),
      from("src/flow/encoder.ts", "src/flow/uuid.ts"),
      from("src/flow/encoder.ts", "npm:@bufbuild/protobuf"),
      from("src/hubble/server.ts", "npm:@connectrpc/connect-node"),
      from("src/hubble/server.ts", "node:http2"),
      from("src/agent/version.ts", "deno.json"),
      from("tests/interop/cli_test.ts", "src/hubble/server.ts"),
      from("src/flow/store_test.ts", "npm:fast-check"),
    ]),
    [],
  );
});

const REFUSED: Record<string, [Import, RegExp]> = {
  "flow knows no plugin": [from("src/flow/store.ts", "src/plugins/plugin.ts"), /flow may import only identity, proto/],
  "flow knows no gRPC": [from("src/flow/store.ts", "npm:@connectrpc/connect"), /only hubble, identity, operator may/],
  "flow knows no metrics library": [from("src/flow/store.ts", "npm:prom-client"), /only telemetry may/],
  "identity knows no flow": [from("src/identity/table.ts", "src/flow/record.ts"), /identity may import only proto/],
  "a type-only import counts": [
    from("src/hubble/server.ts", "src/telemetry/metrics.ts", { typeOnly: true }),
    /hubble may import only flow, identity, proto/,
  ],
  "ffi knows nothing of the product": [from("ffi/ring.ts", "src/flow/record.ts"), /ffi may import only itself/],
  "ffi uses no package": [from("ffi/ring.ts", "npm:ipaddr.js"), /ffi\/ uses no package/],
  "nobody imports agent": [from("src/hubble/server.ts", "src/agent/run.ts"), /hubble may import only/],
  "entry goes through agent": [from("main.ts", "src/hubble/server.ts"), /entry may import only agent, cli/],
  "main.ts is the agent's": [from("main.ts", "src/operator/run.ts"), /entry may import only agent, cli/],
  "no product file imports tests": [from("src/flow/store.ts", "tests/lab/lab.ts"), /no product file may import/],
  "no jsr": [from("tests/x_test.ts", "jsr:@std/assert"), /packages come from npm/],
  "no unknown folder": [from("src/misc/x.ts", "node:fs"), /in no folder that the import rules know/],
};
for (const [name, [one, expected]] of Object.entries(REFUSED)) {
  Deno.test(`violations() refuses: ${name}`, () => {
    const found = violations([one]);
    assert.equal(found.length, 1);
    assert.match(found[0], expected);
  });
}

Deno.test("violations() finds what the agent's start drags in", () => {
  const imports = [
    from("main.ts", "src/agent/run.ts"),
    from("src/agent/run.ts", "src/operator/watch.ts"),
    from("src/operator/watch.ts", "npm:@kubernetes/client-node"),
  ];
  assert.match(
    violations(imports).join(),
    /src\/operator\/watch\.ts imports @kubernetes\/client-node, which main\.ts then/,
  );
  imports[1] = { ...imports[1], dynamic: true };
  assert.deepEqual(violations(imports), []);
});

Deno.test("layerOf() leaves scripts, tests and benches free", () => {
  assert.equal(layerOf("src/flow/filter/mod.ts"), "flow");
  assert.equal(layerOf("src/flow/store_test.ts"), undefined);
  assert.equal(layerOf("bench/store_bench.ts"), undefined);
});

Deno.test("importsOf() reads deno info's graph", () => {
  const root = "file:///r/";
  const info = {
    redirects: { "npm:@a/b@1.0.0": "npm:/@a/b@1.0.0" },
    modules: [{
      specifier: "file:///r/src/flow/a.ts",
      dependencies: [
        { specifier: "@a/b", code: { specifier: "npm:@a/b@1.0.0" } },
        { specifier: "./b.ts", type: { specifier: "file:///r/src/flow/b.ts" } },
        { specifier: "./c.ts", code: { specifier: "file:///r/src/flow/c.ts" }, isDynamic: true },
      ],
    }, { specifier: "node:net" }],
  };
  assert.deepEqual(importsOf(info, root), [
    { from: "src/flow/a.ts", specifier: "@a/b", to: "npm:@a/b", dynamic: false, typeOnly: false },
    { from: "src/flow/a.ts", specifier: "./b.ts", to: "src/flow/b.ts", dynamic: false, typeOnly: true },
    { from: "src/flow/a.ts", specifier: "./c.ts", to: "src/flow/c.ts", dynamic: true, typeOnly: false },
  ]);
});
