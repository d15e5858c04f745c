import assert from "node:assert/strict";
import { TextRequested, UsageError } from "../cli/errors.ts";
import { parseOptions } from "./options.ts";

const context = (env: Record<string, string> = {}) => ({ env: (name: string) => env[name], hostname: () => "host-1" });
const parse = (args: string[], env: Record<string, string> = {}) => parseOptions(args, context(env));

Deno.test("parseOptions() has the reference's ports and our defaults", () => {
  const options = parse([]);
  assert.equal(options.hubblePort, 4244);
  assert.equal(options.metricsPort, 10_093);
  assert.equal(options.flowCapacity, 65_536);
  assert.equal(options.ringBufferSize, 8 * 1024 * 1024);
  assert.deepEqual(options.extraInterfaces, []);
  assert.equal(options.podLevel, false);
  assert.equal(options.tcAttach, "auto");
});

Deno.test("parseOptions() repeats --extra-interfaces and takes both flag forms", () => {
  const options = parse(["--extra-interfaces", "eth0", "--extra-interfaces=auto", "--pod-level", "--hubble-port=1"]);
  assert.deepEqual(options.extraInterfaces, ["eth0", "auto"]);
  assert.equal(options.podLevel, true);
  assert.equal(options.hubblePort, 1);
});

Deno.test("parseOptions() takes the node's name from the flag, then NODE_NAME, then the host", () => {
  assert.equal(parse(["--node-name", "a"], { NODE_NAME: "b" }).nodeName, "a");
  assert.equal(parse([], { NODE_NAME: "b" }).nodeName, "b");
  assert.equal(parse([], { NODE_NAME: " " }).nodeName, "host-1");
  assert.throws(() => parseOptions([], { env: () => undefined, hostname: () => "" }), /--node-name/);
});

Deno.test("parseOptions() lets a flag win over its environment variable", () => {
  const env = {
    RETINA_HUBBLE_PORT: "5000",
    RETINA_EXTRA_INTERFACES: "eth0,eth1",
    RETINA_POD_LEVEL: "true",
  };
  const options = parse(["--hubble-port", "6000"], env);
  assert.equal(options.hubblePort, 6000);
  assert.deepEqual(options.extraInterfaces, ["eth0", "eth1"]);
  assert.equal(options.podLevel, true);
  assert.deepEqual(parse(["--extra-interfaces", "lo"], env).extraInterfaces, ["lo"]);
});

Deno.test("parseOptions() refuses what it cannot use, naming flag and value", () => {
  const cases: [string[], RegExp][] = [
    [["--hubble-prot", "1"], /--hubble-prot.*--hubble-port/s],
    [["--hubble-port", "http"], /--hubble-port "http"/],
    [["--hubble-port"], /--hubble-port/],
    [["stray"], /^Too many arguments.*: stray: run with --help to see every flag$/],
    [["--flow-capacity", "1000"], /--flow-capacity "1000": expected a power of two.*1024/],
    [["--flow-capacity", "0"], /--flow-capacity "0"/],
    [["--ring-buffer-size", "0"], /--ring-buffer-size "0"/],
    [["--tc-attach", "xdp"], /--tc-attach "xdp": expected one of auto, tcx, legacy/],
    [["--log-level", "loud"], /--log-level "loud"/],
    [["--extra-interfaces", "a/b"], /--extra-interfaces "a\/b"/],
    [["--hubble-address", "localhost"], /--hubble-address "localhost"/],
    [["--replay", "x", "--replay-speed", "0"], /--replay-speed "0"/],
    [["--pod-level", "--pod-interfaces", "("], /--pod-interfaces "\("/],
    [["--max-message-bytes", "1"], /--max-message-bytes "1"/],
    [["--operator", "sidecar"], /--operator "sidecar": expected one of embedded/],
    [["--identities", ""], /--identities ""/],
    [["surplus"], /argument/],
  ];
  for (const [args, expected] of cases) {
    assert.throws(() => parse(args), (error: unknown) => {
      assert.ok(error instanceof UsageError, `${args.join(" ")}: ${error}`);
      assert.match(error.message, expected);
      assert.ok(!error.message.includes("\n"), "one line");
      return true;
    });
  }
  assert.throws(() => parse([], { RETINA_HUBBLE_PORT: "x" }), /RETINA_HUBBLE_PORT.*"x"/);
  assert.throws(() => parse([], { RETINA_POD_LEVEL: "yes" }), /RETINA_POD_LEVEL.*"yes"/);
});

Deno.test("parseOptions() answers --help and --version with their text", () => {
  assert.throws(
    () => parse(["--help"]),
    (error: unknown) => error instanceof TextRequested && /--extra-interfaces/.test(error.message),
  );
  assert.throws(
    () => parse(["--version"]),
    (error: unknown) => error instanceof TextRequested && /^retina-agent \d+\.\d+\.\d+/.test(error.message),
  );
});

Deno.test("parseOptions() refuses flags that contradict each other", () => {
  const cases: [string[], RegExp][] = [
    [["--tls-cert-file", "c.pem"], /--tls-key-file/],
    [["--tls-key-file", "k.pem"], /--tls-cert-file/],
    [["--tls-client-ca-file", "ca.pem"], /--tls-cert-file/],
    [["--replay-speed", "2"], /--replay-speed 2 without --replay/],
    [["--replay", "-", "--pod-level"], /--replay/],
    [["--replay", "-", "--extra-interfaces", "eth0"], /--replay/],
    [["--pod-interfaces", "^veth"], /--pod-level/],
    [["--operator-addr", "https://o:9090", "--operator-cert-file", "c.pem"], /--operator-key-file/],
    [["--operator-addr", "o:9090", "--operator-ca-file", "ca.pem"], /https:\/\/host:port/],
    [["--operator-server-name", "o"], /--operator-addr/],
    [["--operator", "embedded", "--operator-addr", "o:9090"], /--operator-addr/],
    [["--kubeconfig", "k"], /--operator embedded/],
  ];
  for (const [args, expected] of cases) assert.throws(() => parse(args), { name: "UsageError", message: expected });
  assert.equal(parse(["--replay", "flows.json", "--replay-speed", "2.5"]).replaySpeed, 2.5);
});
