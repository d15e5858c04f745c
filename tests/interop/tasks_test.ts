/** `deno task dev` and `deno task demo`, as a newcomer runs them. */
import assert from "node:assert/strict";
import { run, start } from "../../scripts/process.ts";
import { createLab } from "../lab/lab.ts";
import { ebpf, lab as needsLab, testWith } from "../lab/need.ts";
import { listNamespaces } from "../lab/owner.ts";
import { ping, sendUdp, serve } from "../lab/traffic.ts";

const NEEDS = [needsLab, ebpf];
const script = (name: string) => new URL(`../../scripts/${name}`, import.meta.url).pathname;
const COMPACT = /^\w{3} [ \d]\d [\d:.]+: (\S+) \([\w:-]+\) (->|<-|<>) (\S+) \([\w:-]+\) ([\w-]+) FORWARDED \((.*)\)$/;

/** Namespaces that the given text names. */
function namedIn(text: string): string[] {
  return [...text.matchAll(/rlab-[\w-]+/g)].map(([name]) => name);
}

testWith(NEEDS, "demo prints flows of every kind over IPv4 and IPv6, and removes its lab", async () => {
  const { stdout } = await run(Deno.execPath(), ["run", "-A", script("demo.ts"), "--seconds", "1"], {
    timeoutMs: 60_000,
  });
  const flows = stdout.split("\n").map((line) => COMPACT.exec(line)).filter((match) => match !== null);
  const kinds = new Set(flows.map(([, , , , , summary]) => summary));
  for (const kind of ["UDP", "ICMPv4 EchoRequest", "ICMPv6 EchoReply", "TCP Flags: SYN", "TCP Flags: SYN, ACK"]) {
    assert(kinds.has(kind), `no ${kind} in\n${stdout}`);
  }
  const names = new Set(flows.flatMap(([, left, , right]) => [left, right]).map((host) => host.replace(/:\d+$/, "")));
  for (const name of ["shop/web-0", "shop/api-0", "shop/worker-0"]) assert(names.has(name), `no ${name} in\n${stdout}`);
  const points = new Set(flows.map(([, , , , point]) => point));
  assert.deepEqual([...points].sort(), ["from-endpoint", "from-network", "to-endpoint", "to-network"]);
  assert.equal(namedIn(stdout).length, 1);
  assert.deepEqual(namedIn(stdout).filter((name) => listNamespaces().includes(name)), []);
}, { timeoutMs: 90_000 });

testWith(NEEDS, "demo removes its lab on Ctrl-C", async () => {
  await using demo = start(Deno.execPath(), ["run", "-A", script("demo.ts")]);
  const line = await demo.waitForLine((line) => line.startsWith("In another terminal"), { timeoutMs: 30_000 });
  await demo.waitForLine((line) => COMPACT.test(line), { timeoutMs: 20_000 });
  const [node] = namedIn(line);
  assert(listNamespaces().includes(node));
  assert.equal((await demo.stop({ signal: "SIGINT", graceMs: 15_000 })).code, 130);
  const owner = node.replace(/-node$/, "");
  assert.deepEqual(listNamespaces().filter((name) => name.startsWith(owner)), []);
}, { timeoutMs: 90_000 });

testWith(NEEDS, "dev prints the machine's flows, listens on loopback only, and ends on Ctrl-C", async () => {
  await using lab = await createLab();
  const [client, server] = lab.pods;
  await using _server = await serve(server.namespace);
  const dev = lab.node.startDeno(["-A", script("dev.ts"), "--extra-interfaces", lab.hostDevice]);
  try {
    for (let tries = 0; !dev.lines.some((line) => COMPACT.test(line)); tries++) {
      assert(tries < 100, dev.stderr());
      await ping(client.namespace, server.ipv4);
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
    const { sourcePort } = await sendUdp(client.namespace, { address: server.ipv6, count: 1 });
    await dev.waitForLine((line) => line.includes(`:${sourcePort} `) && COMPACT.test(line));
    const listening = (await lab.node.run("cat", ["/proc/net/tcp", "/proc/net/tcp6"])).stdout.split("\n")
      .map((line) => line.trim().split(/\s+/)).filter((fields) => fields[3] === "0A").map((fields) => fields[1]);
    // 127.0.0.1 in the order of its bytes in memory; ports 4244 and 10093.
    assert.deepEqual(listening.sort(), ["0100007F:1094", "0100007F:276D"]);
  } finally {
    assert.equal((await dev.stop({ signal: "SIGINT", graceMs: 15_000 })).code, 0);
  }
}, { timeoutMs: 90_000 });
