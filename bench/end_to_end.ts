/**
 * The agent under load, end to end: the lab floods UDP and opens many short TCP connections, and one client follows.
 *
 *     deno task bench:end-to-end [--rate PACKETS_PER_SECOND] [--seconds N] [-- AGENT_FLAGS...]
 *
 * Prints for each load: events a second that the kernel offered, that the agent read and that the follower got; what was
 * lost at which stage; CPU seconds of the agent per million events; nanoseconds per packet of the eBPF programs
 * (`kernel.bpf_stats_enabled`, switched on for the run); resident memory.
 */
import { parseArgs } from "node:util";
import { build } from "../scripts/dev.ts";
import { runScript, setup } from "../scripts/setup.ts";
import { type AgentProcess, HUBBLE_PORT, startAgent } from "../tests/lab/agent.ts";
import { createLab, type Lab } from "../tests/lab/lab.ts";
import { ECHO_PORT, serve } from "../tests/lab/traffic.ts";
import {
  cpuSeconds,
  enableProgramStats,
  metricSum,
  nanosecondsPerRun,
  programRuns,
  residentBytes,
} from "./load/measure.ts";

/** Destinations of the flood (RFC 2544); the receiving pod drops them without an answer. */
const FLOOD_NET = "198.18.0.0/15";
/** Connections of the load in which nearly every packet belongs to a known one. */
const FEW = 16;
/** Two veths see each packet from pod to pod. */
const POINTS = 2;

interface Snapshot {
  at: number;
  cpu: number;
  read: number;
  lost: number;
  packets: number;
  runs: ReturnType<typeof programRuns>;
}

async function snapshot(agent: AgentProcess): Promise<Snapshot> {
  const metrics = await agent.get("/metrics");
  return {
    at: performance.now(),
    cpu: cpuSeconds(agent.process.pid),
    read: metricSum(metrics, "hubble_flows_processed_total"),
    lost: metricSum(metrics, "hubble_lost_events_total"),
    packets: metricSum(metrics, "networkobservability_forward_packets_total"),
    runs: programRuns(agent.process.pid),
  };
}

interface Followed {
  flows: number;
  bytes: number;
  lost: Record<string, number>;
  status: string;
}

/** Follows while the load runs; gives what the follower counted, and the snapshots around the load. */
async function underLoad<Result>(lab: Lab, agent: AgentProcess, load: () => Promise<Result>) {
  const program = new URL("load/follower.ts", import.meta.url).pathname;
  const follower = lab.node.startDeno(["--allow-net", "--allow-env", program, `${HUBBLE_PORT}`]);
  try {
    await follower.waitForLine((line) => line === "following");
    const before = await snapshot(agent);
    const result = await load();
    const loaded = performance.now();
    await settle(agent);
    const after = await snapshot(agent);
    const seconds = (loaded - before.at) / 1000;
    // The follower may be behind the agent: it gets the time that it needs, up to two seconds.
    await new Promise((resolve) => setTimeout(resolve, 2000));
    await follower.closeInput();
    const followed: Followed = JSON.parse(await follower.waitForLine((line) => line.startsWith("{")));
    return { result, before, after, seconds, followed };
  } finally {
    await follower.stop();
  }
}

/** Waits until the agent has read what the kernel offered, at most five seconds. */
async function settle(agent: AgentProcess): Promise<void> {
  let read = -1;
  for (let tries = 0; tries < 50; tries++) {
    const now = metricSum(await agent.get("/metrics"), "hubble_flows_processed_total");
    if (now === read) return;
    read = now;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

function report(
  name: string,
  agent: AgentProcess,
  run: Awaited<ReturnType<typeof underLoad>>,
  expected?: number,
): void {
  const { before, after, seconds, followed } = run;
  const read = after.read - before.read;
  const lost = after.lost - before.lost;
  const rate = (count: number) => Math.round(count / seconds).toLocaleString("en");
  const rows: [string, string][] = [
    ["events offered by the kernel", `${rate(read + lost)}/s`],
    ["events read by the agent", `${rate(read)}/s`],
    ["flows got by the follower", `${rate(followed.flows)}/s`],
    ["lost in the kernel's ring", `${lost}`],
    ["lost to the follower, as it was told", JSON.stringify(followed.lost)],
    ["events that the follower can account for", `${followed.flows + sum(followed.lost)} of ${read + lost}`],
    [
      "agent CPU",
      `${(after.cpu - before.cpu).toFixed(2)} s, ${
        ((after.cpu - before.cpu) / (read / 1e6)).toFixed(2)
      } s per million events`,
    ],
    ["eBPF", `${nanosecondsPerRun(before.runs, after.runs).toFixed(0)} ns per packet and program`],
    ["agent memory", `${megabytes(agent)} resident`],
  ];
  if (expected !== undefined) {
    rows.splice(1, 0, ["events that the load should give", `${expected}; the kernel offered ${read + lost}`]);
  }
  console.log(`\n${name} (${seconds.toFixed(1)} s)`);
  for (const [what, value] of rows) console.log(`  ${what.padEnd(42)} ${value}`);
  if (followed.status !== "") console.log(`  the follower's stream ended with status ${followed.status}`);
}

/** What the agent costs while nothing happens; the first seconds, in which Deno still compiles and collects, left out. */
async function reportIdle(agent: AgentProcess): Promise<void> {
  const [settle, seconds] = [3, 10];
  await new Promise((resolve) => setTimeout(resolve, settle * 1000));
  const before = cpuSeconds(agent.process.pid);
  await new Promise((resolve) => setTimeout(resolve, seconds * 1000));
  const share = (cpuSeconds(agent.process.pid) - before) / seconds;
  console.log("\nIdle");
  console.log(`  start to ready                             ${agent.readyMs.toFixed(0)} ms`);
  console.log(`  CPU                                        ${(share * 100).toFixed(2)} % of a core`);
  console.log(`  memory                                     ${megabytes(agent)} resident`);
}

function megabytes(agent: AgentProcess): string {
  return `${(residentBytes(agent.process.pid) / 1e6).toFixed(0)} MB`;
}

function sum(counts: Record<string, number>): number {
  return Object.values(counts).reduce((total, count) => total + count, 0);
}

async function main(): Promise<void> {
  const { values, positionals } = parseArgs({
    args: Deno.args,
    allowPositionals: true,
    options: { rate: { type: "string", default: "150000" }, seconds: { type: "string", default: "10" } },
  });
  const seconds = Number(values.seconds);
  await setup(["run", "build", "lab"]);
  await build();
  using _stats = enableProgramStats();
  await using lab = await createLab();
  const [client, server] = lab.pods;
  await client.namespace.ip(`route add ${FLOOD_NET} via ${server.ipv4}`);
  await server.namespace.ip(`route add blackhole ${FLOOD_NET}`);
  await using _server = await serve(server.namespace);
  await using agent = await startAgent(lab, { args: positionals });
  console.log(`Linux ${Deno.osRelease()}, ${navigator.hardwareConcurrency} CPUs, Deno ${Deno.version.deno}`);
  await reportIdle(agent);

  const flood = new URL("load/flood.ts", import.meta.url).pathname;
  const flooding = (...connections: string[]) => async () => {
    const args = ["--allow-ffi", "--allow-read", flood, values.rate, `${seconds}`, ...connections];
    const { stdout } = await client.namespace.runDeno(args, { timeoutMs: (seconds + 30) * 1000 });
    return JSON.parse(stdout) as { sent: number };
  };
  const flooded = await underLoad(lab, agent, flooding());
  report(`UDP, every packet a new connection, ${values.rate} packets/s`, agent, flooded, flooded.result.sent * POINTS);
  const repeated = await underLoad(lab, agent, flooding(`${FEW}`));
  report(`UDP, ${FEW} connections, ${repeated.result.sent} packets`, agent, repeated);

  const connect = new URL("load/connect.ts", import.meta.url).pathname;
  const connected = await underLoad(lab, agent, async () => {
    const args = ["--allow-net", connect, server.ipv4, `${ECHO_PORT}`, `${seconds}`];
    const { stdout } = await client.namespace.runDeno(args, { timeoutMs: (seconds + 30) * 1000 });
    return JSON.parse(stdout) as { connections: number; failed: number };
  });
  const { connections, failed } = connected.result;
  report(`TCP, ${connections} short connections (${failed} failed)`, agent, connected);
}

await runScript(main);
