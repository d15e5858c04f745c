import assert from "node:assert/strict";
import { run, start, which } from "../../scripts/process.ts";
import { createLab } from "./lab.ts";
import { lab as needsLab, testWith } from "./need.ts";
import { isAbandoned, labPrefix, listNamespaces, ownerPrefix, removeNamespace, sweepAbandoned } from "./owner.ts";
import { dnsQuery, httpGet, type Job, ping, sendAll, sendTcp, sendUdp, serve, urlHost } from "./traffic.ts";

testWith([needsLab], "createLab() routes IPv4 and IPv6 between pods, node and client", async () => {
  await using lab = await createLab();
  const [first, second] = lab.pods;
  for (const family of ["ipv4", "ipv6"] as const) {
    for (const host of [second, lab.pods[2], lab.client]) await ping(first.namespace, host[family]);
    await ping(first.namespace, lab.nodeAddresses.pods[family]);
    await ping(lab.client.namespace, second[family]);
    await ping(lab.node, second[family]);
  }
});

testWith([needsLab], "traffic: counts are exact, IPv4 and IPv6", async () => {
  await using lab = await createLab();
  const [first, second] = lab.pods;
  await using _server = await serve(second.namespace);
  for (const address of [second.ipv4, second.ipv6]) {
    const udp = await sendUdp(first.namespace, { address, count: 50, sourcePort: 40_000 });
    assert.deepEqual(udp, { sent: 50, received: 50, sourcePort: 40_000 });
    const tcp = await sendTcp(first.namespace, { address, connections: 2, messages: 3, size: 10 });
    assert.equal(new Set(tcp.sourcePorts).size, 2);
    assert.deepEqual({ ...tcp, sourcePorts: [] }, { sourcePorts: [], bytesSent: 60, bytesReceived: 60 });
    const http = await httpGet(lab.client.namespace, `http://${urlHost(address)}/path`);
    assert.deepEqual(http, { status: 200, body: "GET /path\n" });
    assert.deepEqual(
      await dnsQuery(first.namespace, { server: address, name: "web.example", type: "A" }),
      { addresses: ["192.0.2.53"] },
    );
  }
  await sendTcp(first.namespace, { address: second.ipv4, reset: true });
  const refused = await sendTcp(first.namespace, { address: second.ipv4, port: 9, mayFail: true });
  assert.deepEqual(refused, { sourcePorts: [], bytesSent: 0, bytesReceived: 0 });
});

testWith([needsLab], "sendAll() does its jobs one after the other, also from the same port", async () => {
  await using lab = await createLab({ pods: 2 });
  const [first, second] = lab.pods;
  await using _server = await serve(second.namespace, 20_000);
  const udp: Job = { kind: "udp", address: second.ipv4, port: 7, count: 2, size: 9, reply: true, gapMs: 0 };
  const jobs: Job[] = [{ ...udp, sourcePort: 40_000 }, { kind: "wait", ms: 1 }, { ...udp, sourcePort: 40_000 }];
  const sent = { sent: 2, received: 2, sourcePort: 40_000 };
  assert.deepEqual(await sendAll(first.namespace, jobs, 20_000), [sent, null, sent]);
});

testWith([needsLab], "dispose() ends the processes inside and removes every namespace, also twice", async () => {
  const lab = await createLab({ pods: 1 });
  const names = [lab.node, lab.client.namespace, lab.pods[0].namespace].map((namespace) => namespace.name);
  assert.deepEqual(names.filter((name) => !listNamespaces().includes(name)), []);
  // Once it has spoken it is inside; before, nothing tells that it is about to be.
  const sleeper = lab.node.start("sh", ["-c", "echo inside; exec sleep 60"]);
  await sleeper.waitForLine((line) => line === "inside");
  await lab.dispose();
  assert.equal((await sleeper.ended).code, 137);
  await lab.dispose();
  assert.deepEqual(names.filter((name) => listNamespaces().includes(name)), []);
});

testWith([needsLab], "createLab() leaves nothing when it fails half-way", async () => {
  const mine = () => listNamespaces().filter((name) => name.startsWith(ownerPrefix()));
  const path = Deno.env.get("PATH") ?? "";
  const folder = await Deno.makeTempDir();
  await Deno.symlink(which("ip") ?? "", `${folder}/ip`);
  // With ip but without nsenter the namespaces are made, and the next step fails.
  Deno.env.set("PATH", folder);
  try {
    await assert.rejects(createLab(), /nsenter/);
    assert.deepEqual(mine(), []);
  } finally {
    Deno.env.set("PATH", path);
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("createLab() refuses a number of pods that its addresses do not reach", async () => {
  await assert.rejects(createLab({ pods: 201 }), RangeError);
});

testWith([needsLab], "SIGINT removes the lab", async () => {
  const program = `import { createLab } from ${JSON.stringify(new URL("lab.ts", import.meta.url).href)};
    const lab = await createLab({ pods: 1 });
    console.log(lab.node.name);
    setInterval(() => {}, 1000);`;
  const child = start(Deno.execPath(), ["eval", program]);
  const name = await child.waitForLine(() => true);
  assert(listNamespaces().includes(name));
  assert.equal((await child.stop({ signal: "SIGINT" })).code, 130);
  assert(!listNamespaces().includes(name));
});

testWith([needsLab], "a second SIGINT does not stop the removal", async () => {
  const program = `import { createLab } from ${JSON.stringify(new URL("lab.ts", import.meta.url).href)};
    const lab = await createLab({ pods: 5 });
    console.log(lab.node.name);
    setInterval(() => {}, 1000);`;
  const child = start(Deno.execPath(), ["eval", program]);
  const prefix = (await child.waitForLine(() => true)).replace(/-node$/, "");
  const left = () => listNamespaces().filter((name) => name.startsWith(prefix)).length;
  const all = left();
  assert.equal(all, 7);
  Deno.kill(child.pid, "SIGINT");
  // The first namespace has gone: the removal is under way.
  for (let tries = 0; left() === all && tries < 1000; tries++) await new Promise((resolve) => setTimeout(resolve, 1));
  assert.equal((await child.stop({ signal: "SIGINT" })).code, 130);
  assert.equal(left(), 0);
});

testWith([needsLab], "sweepAbandoned() removes what a killed owner left, and nothing of a living one", async () => {
  const program = `import { createLab } from ${JSON.stringify(new URL("lab.ts", import.meta.url).href)};
    const lab = await createLab({ pods: 1 });
    console.log(lab.node.name);
    setInterval(() => {}, 1000);`;
  const child = start(Deno.execPath(), ["eval", program]);
  const abandoned = await child.waitForLine(() => true);
  await child.stop({ signal: "SIGKILL" });
  const mine = `${labPrefix()}-node`;
  await run("ip", ["netns", "add", mine]);
  try {
    // Another test run on this machine may sweep at the same time: what counts is that it is gone afterwards.
    await sweepAbandoned();
    assert(!listNamespaces().includes(abandoned));
    assert(listNamespaces().includes(mine));
  } finally {
    await removeNamespace(mine);
  }
});

Deno.test("isAbandoned() knows its own names only", () => {
  assert.equal(isAbandoned("cni-1234"), false);
  assert.equal(isAbandoned(`${labPrefix()}-node`), false);
  const parts = labPrefix().split("-");
  assert.equal(isAbandoned([parts[0], parts[1], parts[2], "1", parts[4], "node"].join("-")), true);
  assert.equal(isAbandoned([parts[0], "1", parts[2], "1", parts[4], "node"].join("-")), false);
});
