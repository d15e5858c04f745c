import assert from "node:assert/strict";
import { TextRequested, UsageError } from "../cli/errors.ts";
import { parseOptions } from "./options.ts";

const parse = (args: string[], env: Record<string, string> = {}) =>
  parseOptions(args, { env: (name) => env[name], hostname: () => "host" });

Deno.test("parseOptions() has the ports that agents and charts expect", () => {
  const options = parse([]);
  assert.deepEqual([options.grpcPort, options.debugPort, options.leaderElect], [9090, 9091, false]);
  assert.equal(options.kubeconfig, undefined);
  assert.match(options.identity, /^host-[0-9a-f]{8}$/);
});

Deno.test("parseOptions() takes the pod's name and namespace from the environment", () => {
  const env = { POD_NAME: "operator-1", POD_NAMESPACE: "obs" };
  assert.deepEqual([parse([], env).identity, parse([], env).leaseNamespace], ["operator-1", "obs"]);
  const flags = ["--identity", "me", "--lease-namespace", "here"];
  assert.deepEqual([parse(flags, env).identity, parse(flags, env).leaseNamespace], ["me", "here"]);
});

Deno.test("parseOptions() refuses what cannot be meant", () => {
  const cases: [args: string[], message: RegExp][] = [
    [["--grpc-port", "x"], /--grpc-port "x".*0 to 65535/],
    [["--batch-interval", "101"], /--batch-interval "101".*1 to 100/],
    [["--tls-cert-file", "a"], /give both/],
    [["--tls-client-ca-file", "a"], /without TLS/],
    [["--nonsense"], /nonsense.*--help/],
    [["extra"], /--help/],
  ];
  for (const [args, message] of cases) {
    assert.throws(() => parse(args), (error: unknown) => {
      assert.ok(error instanceof UsageError, String(error));
      assert.match(error.message, message);
      return true;
    });
  }
  assert.throws(() => parse(["--help"]), TextRequested);
  assert.throws(() => parse(["--version"]), TextRequested);
});
