/**
 * `deno task demo [--seconds N]`: a lab of three pods and an outside client, traffic between them, and the agent that
 * prints what it sees. Everything happens in network namespaces that are removed at the end, also on Ctrl-C.
 */
import { startAgent } from "../tests/lab/agent.ts";
import { writeIdentityFile } from "../tests/lab/identities.ts";
import { createLab, type Lab } from "../tests/lab/lab.ts";
import { dnsQuery, httpGet, ping, sendTcp, sendUdp, serve, urlHost } from "../tests/lab/traffic.ts";
import { build } from "./dev.ts";
import { which } from "./process.ts";
import { runScript, setup, SetupError } from "./setup.ts";
import { toolPath } from "./tools.ts";

/** One round of traffic: every kind once, over IPv4 and IPv6, between pods and across the node's edge. */
async function round(lab: Lab): Promise<void> {
  const [web, api, worker] = lab.pods;
  for (const family of ["ipv4", "ipv6"] as const) {
    await ping(worker.namespace, web[family]);
    await dnsQuery(worker.namespace, {
      server: api[family],
      name: "web.example",
      type: family === "ipv4" ? "A" : "AAAA",
    });
    await httpGet(worker.namespace, `http://${urlHost(web[family])}/`);
    await httpGet(lab.client.namespace, `http://${urlHost(web[family])}/`);
    await sendTcp(api.namespace, { address: web[family], messages: 3 });
    await sendUdp(web.namespace, { address: lab.client[family], count: 3 });
  }
}

function seconds(args: readonly string[]): number {
  if (args.length === 0) return 15;
  const value = args[0] === "--seconds" && args.length === 2 ? Number(args[1]) : NaN;
  if (Number.isInteger(value) && value > 0 && value <= 3600) return value;
  throw new SetupError(`Cannot run the demo with "${args.join(" ")}": expected --seconds N, 1 to 3600`);
}

async function main(): Promise<void> {
  const limit = seconds(Deno.args);
  if (Deno.uid() !== 0) throw new SetupError("The demo needs root: run `sudo npx --yes deno@2.9.6 task demo`");
  await setup(["run", "build", "lab"]);
  await build();
  await using lab = await createLab();
  const [web, api, worker] = lab.pods;
  console.log(`A node with three pods: ${[web, api, worker].map((pod) => `${pod.ipv4} ${pod.ipv6}`).join(", ")}`);
  console.log(`and a client outside: ${lab.client.ipv4} ${lab.client.ipv6}`);
  await using identities = await writeIdentityFile(lab);
  await using _agent = await startAgent(lab, {
    args: ["--print", "--identities", identities.path],
    onLine: (line) => console.log(line),
  });
  const hubble = which(toolPath("hubble")) ?? "hubble";
  console.log(`In another terminal: nsenter --net=${lab.node.path} ${hubble} observe --follow`);
  for (const host of [web, api, lab.client]) await serve(host.namespace);
  const end = performance.now() + limit * 1000;
  do await round(lab); while (performance.now() < end);
  // The agent reads its ring a few dozen times a second: what the last round sent is to be seen as well.
  await new Promise((resolve) => setTimeout(resolve, 500));
  console.log(`${limit} seconds are over; removing the lab`);
}

await runScript(main);
