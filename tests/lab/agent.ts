/** The agent as a process in the lab's node namespace, as it would run on a node. */
import type { Running } from "../../scripts/process.ts";
import { AGENT } from "../../scripts/permissions.ts";
import type { Lab } from "./lab.ts";
import type { Namespace } from "./namespace.ts";

/** The agent's ports; every namespace has its own, so the usual ones are free. */
export const HUBBLE_PORT = 4244;
export const METRICS_PORT = 10093;

export interface AgentProcess extends AsyncDisposable {
  readonly process: Running;
  /** Time from the start of the process to the first 200 of /readyz, in milliseconds. */
  readonly readyMs: number;
  /** Body of a path of the metrics server. Throws unless the status is 200. */
  get(path: string): Promise<string>;
  /** Ends the agent as Kubernetes would, with SIGTERM, and returns its exit code. */
  stop(): Promise<number>;
}

export interface AgentOptions {
  /** Further arguments. */
  readonly args?: readonly string[];
  /** Replay this file instead of watching the lab's devices. */
  readonly replay?: string;
  /** Namespace to run in. Default: the lab's node. */
  readonly namespace?: Namespace;
  /** Called with each line that the agent prints. */
  readonly onLine?: (line: string) => void;
}

const READY_LIMIT_S = 20;
const MAIN = new URL("../../main.ts", import.meta.url).pathname;

/** Starts the agent, on the lab's pods and host device unless it is to replay, and returns when it is ready. */
export async function startAgent(lab: Lab, options: AgentOptions = {}): Promise<AgentProcess> {
  const namespace = options.namespace ?? lab.node;
  const source = options.replay === undefined
    ? ["--extra-interfaces", lab.hostDevice, "--pod-level"]
    : ["--replay", options.replay];
  const args = [...source, "--node-name", "lab-node", ...options.args ?? []];
  // The one who asks runs already when the agent starts, so that its own start is not measured.
  await using asking = namespace.startDeno(["--allow-net", tool("ready.ts"), url("/readyz"), `${READY_LIMIT_S}`]);
  await asking.waitForLine((line) => line === "asking");
  const begin = performance.now();
  const process = namespace.startDeno([...AGENT, MAIN, ...args], {
    ...(options.onLine === undefined ? {} : { onLine: options.onLine }),
  });
  const ready = asking.waitForLine((line) => line === "ready", { timeoutMs: READY_LIMIT_S * 1000 });
  const became = await Promise.race([ready.then(() => "ready", () => "late"), process.ended.then(() => "ended")]);
  if (became !== "ready") {
    const { stderr } = await process.stop();
    await asking.stop();
    await ready.catch(() => {}); // it has been told already
    throw new Error(`Agent ${became} instead of ready: ${args.join(" ")}\n${stderr}`);
  }
  const readyMs = performance.now() - begin;
  // It is ready before it has read the file, which may be long; tests want all of it.
  while (options.replay !== undefined && !/Replayed \d+ flows/.test(process.stderr())) {
    await new Promise((resolve) => setTimeout(resolve, 5));
    if (performance.now() - begin > READY_LIMIT_S * 1000) throw new Error(`Agent read no flows\n${process.stderr()}`);
  }
  return {
    process,
    readyMs,
    get: (path) => httpBody(namespace, url(path)),
    stop: async () => (await process.stop({ graceMs: 10_000 })).code,
    async [Symbol.asyncDispose]() {
      await process.stop({ graceMs: 10_000 });
    },
  };
}

/** The programs at the TC hooks of the node's devices, one a line: see tools/attached.ts. */
export async function attachedPrograms(lab: Lab): Promise<string[]> {
  const { stdout } = await lab.node.runDeno(["--allow-ffi", "--allow-read", "--allow-env", tool("attached.ts")]);
  return stdout.split("\n").filter((line) => line !== "");
}

/** An HTTP GET from inside a namespace: sockets of this process belong to another one. */
export async function httpBody(namespace: Namespace, url: string): Promise<string> {
  return (await namespace.runDeno(["--allow-net", tool("get.ts"), url])).stdout;
}

function url(path: string): string {
  return `http://127.0.0.1:${METRICS_PORT}${path}`;
}

function tool(file: string): string {
  return new URL(`tools/${file}`, import.meta.url).pathname;
}
