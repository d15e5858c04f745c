import assert from "node:assert/strict";
import { EnvironmentError, UsageError } from "../cli/errors.ts";
import { FlowStore } from "../flow/store.ts";
import { IpCache } from "../identity/ip_cache.ts";
import { IdentityTable } from "../identity/table.ts";
import { Metrics } from "../telemetry/metrics.ts";
import { type NameState, startNames } from "./names.ts";
import { parseOptions } from "./options.ts";
import { Readiness } from "./readiness.ts";

function state(...args: string[]): NameState {
  const identities = new IdentityTable();
  return {
    options: parseOptions(args, { env: () => undefined, hostname: () => "n1" }),
    ipCache: new IpCache(identities),
    readiness: new Readiness(),
    metrics: new Metrics(),
    store: new FlowStore({ capacity: 16, identities }),
  };
}

async function withFile(text: string, use: (path: string) => Promise<void>): Promise<void> {
  const path = await Deno.makeTempFile({ suffix: ".yaml" });
  try {
    await Deno.writeTextFile(path, text);
    await use(path);
  } finally {
    await Deno.remove(path);
  }
}

Deno.test("startNames() without a source names nothing and announces no peers", async () => {
  const names = state();
  await using stack = new AsyncDisposableStack();
  assert.deepEqual(await startNames(names, () => 4244, stack), {});
  assert.equal(names.ipCache.size, 0);
  assert.equal(names.readiness.ready().ok, true);
});

Deno.test("startNames() reads an identity file before it returns, and says so", async () => {
  const text =
    "identities:\n  - addresses: [10.0.0.1, 'fd00::/64']\n    namespace: shop\n    pod: web-1\n    labels: {app: web}\n";
  await withFile(text, async (path) => {
    const names = state("--identities", path);
    await using stack = new AsyncDisposableStack();
    await startNames(names, () => 4244, stack);
    assert.equal(names.ipCache.get("10.0.0.1")?.pod, "web-1");
    assert.equal(names.ipCache.get("fd00::7")?.namespace, "shop");
    assert.deepEqual(names.readiness.ready().details, [`identities: 2 prefixes from ${path}`]);
    assert.match((await names.metrics.render()).body, /^retina_identity_file_entries 2$/m);
  });
});

Deno.test("startNames() refuses a file that cannot be used, with its line", async () => {
  await withFile("identities:\n  - addresses: [10.0.0.999]\n    namespace: shop\n    pod: web-1\n", async (path) => {
    await using stack = new AsyncDisposableStack();
    await assert.rejects(startNames(state("--identities", path), () => 4244, stack), (error: unknown) => {
      assert.ok(error instanceof EnvironmentError, String(error));
      assert.match(error.message, /line 2/i);
      assert.ok(error.message.includes("10.0.0.999") && error.message.includes(path), error.message);
      return true;
    });
  });
  await using stack = new AsyncDisposableStack();
  await assert.rejects(startNames(state("--identities", "/nowhere/x.yaml"), () => 4244, stack), /no such file/);
});

Deno.test("startNames() is not ready, but alive, while the operator cannot be reached, and waits for nothing", async () => {
  const names = state("--operator-addr", "127.0.0.1:1");
  await using stack = new AsyncDisposableStack();
  const { peers } = await startNames(names, () => 4244, stack);
  assert.equal(names.readiness.health().ok, true);
  assert.match(names.readiness.ready().reasons[0], /names: not synchronized/);
  assert.deepEqual(peers?.current("::ffff:10.0.0.9"), [{ name: "n1", address: "10.0.0.9:4244" }]);
  assert.match((await names.metrics.render()).body, /^retina_ip_cache_connected 0$/m);
});

Deno.test("startNames() refuses an address that cannot be an operator's", async () => {
  await using stack = new AsyncDisposableStack();
  await assert.rejects(
    startNames(state("--operator-addr", "http://a/b?c"), () => 4244, stack),
    (error: unknown) => error instanceof UsageError && error.message.includes("http://a/b?c"),
  );
});

Deno.test("startNames() says when there is no cluster to embed an operator for", async () => {
  await using stack = new AsyncDisposableStack();
  await assert.rejects(
    startNames(state("--operator", "embedded", "--kubeconfig", "/nowhere/config"), () => 4244, stack),
    (error: unknown) => error instanceof EnvironmentError && error.message.includes("/nowhere/config"),
  );
});
