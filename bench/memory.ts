/**
 * Resident memory of the agent as `ps` shows it, idle and under load, and where it is.
 *
 *     deno task bench:memory [--starts 3] [--rate 150000] [--seconds 10] [--names 10000] [-- AGENT_FLAGS...]
 *
 * Each figure is the median of so many starts. Idle: the agent watches the lab's devices for ten seconds after it is ready, and
 * is scraped once. Under load: an operator has told it so many names, the lab floods UDP, every packet is a new
 * connection, one client follows all flows, and the store is full; the median and the highest of what was seen during the
 * load, and what is left ten seconds later. For comparison programs that do nothing, with the agent's V8 flags.
 */
import { parseArgs } from "node:util";
import { build } from "../scripts/dev.ts";
import { AGENT } from "../scripts/permissions.ts";
import { runScript, setup } from "../scripts/setup.ts";
import { type AgentProcess, HUBBLE_PORT, startAgent } from "../tests/lab/agent.ts";
import { createLab, type Lab } from "../tests/lab/lab.ts";
import { median, memoryByKind, type MemoryParts, memoryParts } from "./load/resident.ts";

/** Destinations of the flood (RFC 2544); the receiving pod drops them without an answer. */
const FLOOD_NET = "198.18.0.0/15";
const NAMES_PORT = 9090;
const SETTLE_MS = 10_000;
const SAMPLE_MS = 250;

/** Programs that do nothing: what Deno itself takes. */
const FLOORS: Readonly<Record<string, string>> = {
  "an empty program": "",
  "an HTTP/2 server of node:http2, nothing asked":
    'import { createServer } from "node:http2"; createServer().listen(0);',
};

const pause = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms));

const columns = ["resident", "anonymous", "file", "shared"] as const satisfies (keyof MemoryParts)[];

function row(what: string, parts: MemoryParts): string {
  return `  ${what.padEnd(46)}${columns.map((key) => (parts[key] / 1e6).toFixed(1).padStart(10)).join("")}`;
}

function header(title: string): void {
  console.log(`\n${title.padEnd(48)}${columns.map((key) => key.padStart(10)).join("")}`);
}

/** The median of each part; parts of different samples, so they need not add up to the last kilobyte. */
function medianParts(samples: readonly MemoryParts[]): MemoryParts {
  const of = (key: keyof MemoryParts) => median(samples.map((sample) => sample[key]));
  return { resident: of("resident"), anonymous: of("anonymous"), file: of("file"), shared: of("shared") };
}

async function floor(lab: Lab, program: string): Promise<MemoryParts> {
  const path = await Deno.makeTempFile({ suffix: ".ts" });
  try {
    await Deno.writeTextFile(path, `${program}\nsetInterval(() => {}, 1000);\n`);
    await using process = lab.node.startDeno([...AGENT, path]);
    await pause(3000);
    return memoryParts(process.pid);
  } finally {
    await Deno.remove(path);
  }
}

/** The resident set of a process, as a whole and by what it is for. */
interface Sample {
  parts: MemoryParts;
  kinds: Record<string, number>;
}

function sample({ process: { pid } }: AgentProcess): Sample {
  return { parts: memoryParts(pid), kinds: memoryByKind(Deno.readTextFileSync(`/proc/${pid}/smaps`)) };
}

interface Loaded {
  during: MemoryParts;
  highest: MemoryParts;
  /** Towards the end of the load. */
  kinds: Record<string, number>;
  after: MemoryParts;
}

/** Floods the agent while a client follows it, and looks at its memory all the while. */
async function underLoad(lab: Lab, agent: AgentProcess, rate: string, seconds: number): Promise<Loaded> {
  const load = (file: string) => new URL(`load/${file}`, import.meta.url).pathname;
  await using follower = lab.node.startDeno(["--allow-net", "--allow-env", load("follower.ts"), `${HUBBLE_PORT}`]);
  await follower.waitForLine((line) => line === "following");
  const samples: MemoryParts[] = [];
  const flood = lab.pods[0].namespace.runDeno(["--allow-ffi", "--allow-read", load("flood.ts"), rate, `${seconds}`], {
    timeoutMs: (seconds + 30) * 1000,
  });
  // The first second is the flood's own start; then the store fills.
  await pause(1000);
  for (const end = performance.now() + (seconds - 1) * 1000; performance.now() < end; await pause(SAMPLE_MS)) {
    samples.push(memoryParts(agent.process.pid));
  }
  // Once, because the kernel holds the agent's memory map still while it counts.
  const { kinds } = sample(agent);
  await flood;
  const highest = samples.reduce((most, one) => one.resident > most.resident ? one : most);
  await follower.closeInput();
  await follower.ended;
  await pause(SETTLE_MS);
  return { during: medianParts(samples), highest, kinds, after: memoryParts(agent.process.pid) };
}

function kindRows(samples: readonly { kinds: Record<string, number> }[]): void {
  for (const kind of Object.keys(samples[0].kinds)) {
    const bytes = median(samples.map(({ kinds }) => kinds[kind] ?? 0));
    console.log(`    ${kind.padEnd(44)}${(bytes / 1e6).toFixed(1).padStart(10)}`);
  }
}

async function main(): Promise<void> {
  const { values, positionals } = parseArgs({
    args: Deno.args,
    allowPositionals: true,
    options: {
      starts: { type: "string", default: "3" },
      rate: { type: "string", default: "150000" },
      seconds: { type: "string", default: "10" },
      names: { type: "string", default: "10000" },
    },
  });
  const starts = Number(values.starts), seconds = Number(values.seconds);
  await setup(["run", "build", "lab"]);
  await build();
  await using lab = await createLab();
  const [client, server] = lab.pods;
  await client.namespace.ip(`route add ${FLOOD_NET} via ${server.ipv4}`);
  await server.namespace.ip(`route add blackhole ${FLOOD_NET}`);
  const names = new URL("load/names.ts", import.meta.url).pathname;
  await using operator = lab.node.startDeno(["--allow-net", names, `${NAMES_PORT}`, values.names]);
  await operator.waitForLine((line) => line === "serving");
  const times = async <T>(measure: () => Promise<T>) => {
    const results: T[] = [];
    for (let i = 0; i < starts; i++) results.push(await measure());
    return results;
  };

  console.log(`Linux ${Deno.osRelease()}, Deno ${Deno.version.deno}; MB, the median of ${starts} starts`);
  header("Deno alone");
  for (const [what, program] of Object.entries(FLOORS)) {
    console.log(row(what, medianParts(await times(() => floor(lab, program)))));
  }

  const idle = await times(async () => {
    await using agent = await startAgent(lab, { args: positionals });
    await pause(SETTLE_MS / 2);
    await agent.get("/metrics");
    await pause(SETTLE_MS / 2);
    return sample(agent);
  });
  header("The agent, idle");
  console.log(row("10 s after it was ready", medianParts(idle.map(({ parts }) => parts))));
  kindRows(idle);

  const loaded = await times(async () => {
    await using agent = await startAgent(lab, { args: ["--operator-addr", `127.0.0.1:${NAMES_PORT}`, ...positionals] });
    return await underLoad(lab, agent, values.rate, seconds);
  });
  header(`The agent with ${values.names} names`);
  console.log(
    row(`${values.rate} packets/s for ${seconds} s, one follower`, medianParts(loaded.map((one) => one.during))),
  );
  console.log(row("the highest meanwhile", medianParts(loaded.map((one) => one.highest))));
  kindRows(loaded);
  console.log(row("10 s after the load", medianParts(loaded.map((one) => one.after))));
}

await runScript(main);
