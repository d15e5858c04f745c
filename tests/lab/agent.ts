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

const MAIN = new URL("../../main.ts", import.meta.url).pathname;

/** Starts the agent, on the lab's pods and host device unless it is to replay, and returns when it is ready. */
export async function startAgent(lab: Lab, options: AgentOptions = {}): Promise<AgentProcess> {
  const namespace = options.namespace ?? lab.node;
  const source = options.replay === undefined
    ? ["--extra-interfaces", lab.hostDevice, "--pod-level"]
    : ["--replay", options.replay];
  const args = [...source, "--node-name", "lab-node", ...options.args ?? []];
  const process = namespace.startDeno([...AGENT, MAIN, ...args], {
    ...(options.onLine === undefined ? {} : { onLine: options.onLine }),
  });
  const agent: AgentProcess = {
    process,
    get: (path) => httpBody(namespace, `http://127.0.0.1:${METRICS_PORT}${path}`),
    stop: async () => (await process.stop({ graceMs: 10_000 })).code,
    async [Symbol.asyncDispose]() {
      await process.stop({ graceMs: 10_000 });
    },
  };
  try {
    await ready(agent);
    return agent;
  } catch (error) {
    const output = await process.stop();
    throw new Error(`${error instanceof Error ? error.message : error}: ${args.join(" ")}\n${output.stderr}`);
  }
}

/** The programs at the TC hooks of the node's devices, one a line: see tools/attached.ts. */
export async function attachedPrograms(lab: Lab): Promise<string[]> {
  const program = new URL("tools/attached.ts", import.meta.url).pathname;
  const { stdout } = await lab.node.runDeno(["--allow-ffi", "--allow-read", "--allow-env", program]);
  return stdout.split("\n").filter((line) => line !== "");
}

/** Waits for /readyz, at most 20 seconds, or until the process ends. */
async function ready(agent: AgentProcess): Promise<void> {
  let ended = false;
  void agent.process.ended.then(() => ended = true);
  const deadline = performance.now() + 20_000;
  while (!ended && performance.now() < deadline) {
    if (await agent.get("/readyz").then(() => true, () => false)) return;
  }
  throw new Error(`Agent ${ended ? "ended instead of getting ready" : "was not ready within 20 seconds"}`);
}

/** An HTTP GET from inside a namespace: sockets of this process belong to another one. */
export async function httpBody(namespace: Namespace, url: string): Promise<string> {
  const program = new URL("tools/get.ts", import.meta.url).pathname;
  return (await namespace.runDeno(["--allow-net", program, url])).stdout;
}
