/** The operator as a program: what it says and how it ends. */
import assert from "node:assert/strict";
import { OPERATOR } from "../../scripts/permissions.ts";
import { batchInterval } from "../../src/operator/operator.ts";
import { ApiServer } from "./api_server.ts";
import { eventually } from "./eventually.ts";
import { pod } from "./objects.ts";

const OPERATOR_TS = new URL("../../operator.ts", import.meta.url).pathname;

function operator(args: readonly string[], env: Record<string, string> = {}): Deno.Command {
  return new Deno.Command(Deno.execPath(), {
    args: ["run", "--quiet", ...OPERATOR, OPERATOR_TS, ...args],
    env: { HOME: "/nonexistent", KUBECONFIG: "", NO_COLOR: "1", ...env },
    stdout: "piped",
    stderr: "piped",
  });
}

function freePort(): number {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  return listener.addr.port;
}

async function end(args: readonly string[]): Promise<{ code: number; lines: string[] }> {
  const { code, stderr } = await operator(args).output();
  return { code, lines: new TextDecoder().decode(stderr).trim().split("\n") };
}

Deno.test("batchInterval() doubles with many agents, to at most 100 ms", () => {
  assert.deepEqual([batchInterval(50, 1), batchInterval(50, 1000), batchInterval(80, 5000)], [50, 100, 100]);
});

Deno.test("the operator ends with one line and code 2 when it is called wrongly", async () => {
  const { code, lines } = await end(["--grpc-port", "ninety"]);
  assert.deepEqual([code, lines.length], [2, 1]);
  assert.match(lines[0], /^retina-operator: Cannot use --grpc-port "ninety": expected a whole number/);
});

Deno.test("the operator ends with one line and code 1 without a cluster, or with a port that is taken", async () => {
  const folder = await Deno.makeTempDir();
  const api = await ApiServer.start();
  const kubeconfig = await api.writeKubeconfig(`${folder}/kubeconfig`);
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const taken = String(listener.addr.port);
  const address = ["--grpc-address", "127.0.0.1", "--debug-address", "127.0.0.1", "--kubeconfig", kubeconfig];
  const cases: [args: string[], message: RegExp][] = [
    [[], /Cannot find a Kubernetes cluster: .*--kubeconfig/],
    [["--kubeconfig", "/nonexistent/config"], /Cannot read the Kubernetes configuration \/nonexistent\/config/],
    [[...address, "--grpc-port", taken], /Cannot listen on port \d+: .*--grpc-port/],
    [[...address, "--grpc-port", "0", "--debug-port", taken], /Cannot listen on port \d+: .*--debug-port/],
  ];
  for (const [args, message] of cases) {
    const { code, lines } = await end(args);
    assert.deepEqual([code, lines.length], [1, 1], lines.join("\n"));
    assert.match(lines[0], message);
  }
  await api.stop();
  await Deno.remove(folder, { recursive: true });
});

Deno.test("the operator serves probes, metrics and its state, and stops when it is told to", async () => {
  const folder = await Deno.makeTempDir();
  const api = await ApiServer.start();
  api.set(pod("shop", "a", ["10.1.0.2"]), pod("shop", "b", ["10.1.0.3", "fd00:1::3"]));
  const kubeconfig = await api.writeKubeconfig(`${folder}/kubeconfig`);
  const port = freePort();
  const ports = ["--grpc-port", "0", "--debug-port", String(port)];
  const child = operator([...ports, "--grpc-address", "127.0.0.1", "--debug-address", "127.0.0.1"], {
    KUBECONFIG: kubeconfig,
  }).spawn();
  const get = async (path: string) => {
    const answer = await fetch(`http://127.0.0.1:${port}${path}`);
    return { status: answer.status, body: await answer.text() };
  };
  try {
    await eventually(async () => assert.equal((await get("/readyz")).status, 200), 20_000);
    assert.equal((await get("/healthz")).status, 200);
    const { body } = await get("/metrics");
    for (
      const line of [
        "retina_operator_entries 3",
        'retina_operator_objects{kind="pods"} 2',
        "retina_operator_synced 1",
        "retina_operator_leading 1",
        'retina_operator_lists_total{kind="Pod"} 1',
      ]
    ) assert.ok(body.includes(line), `${line} is not in\n${body}`);
    const cache = JSON.parse((await get("/debug/ipcache?q=shop/b")).body);
    assert.deepEqual([cache.total, cache.shown], [3, 2]);
    assert.equal(JSON.parse((await get("/debug/stats")).body).state.pods, 2);
  } finally {
    child.kill("SIGTERM");
    const { code, stderr } = await child.output();
    assert.equal(code, 0, new TextDecoder().decode(stderr));
    await api.stop();
    await Deno.remove(folder, { recursive: true });
  }
});
