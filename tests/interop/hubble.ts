/** The unmodified Hubble CLI, as the tests run it. */
import { type Output, run } from "../../scripts/process.ts";
import { toolPath } from "../../scripts/tools.ts";
import type { Need } from "../lab/need.ts";
import type { Namespace } from "../lab/namespace.ts";

/** The CLI, built by `deno task build:tools`. */
export const cli: Need = () =>
  exists(toolPath("hubble"))
    ? undefined
    : "machine: the Hubble CLI is not built; run `deno task build:tools`, which needs Go";

/** Hubble Relay, built like the CLI. */
export const relay: Need = () =>
  exists(toolPath("hubble-relay"))
    ? undefined
    : "machine: Hubble Relay is not built; run `deno task build:tools`, which needs Go";

/** Nothing of the user's own configuration; times as in the outputs that the tests compare. */
export const CLI_ENV = { HOME: "/nonexistent", XDG_CONFIG_HOME: "/nonexistent", NO_COLOR: "1", TZ: "UTC" };

export interface HubbleOptions {
  readonly allowFailure?: boolean;
  readonly timeoutMs?: number;
  readonly input?: string;
}

/** Runs `hubble` in a namespace against an agent there on the usual port. */
export function hubble(namespace: Namespace, args: readonly string[], options: HubbleOptions = {}): Promise<Output> {
  return namespace.run(toolPath("hubble"), [...args, "--server", "127.0.0.1:4244"], { env: CLI_ENV, ...options });
}

/** Runs `hubble observe` on a file: Cilium's own filters and printers, without a server. */
export function hubbleFile(file: string, args: readonly string[], options: HubbleOptions = {}): Promise<Output> {
  return run(toolPath("hubble"), ["observe", "--input-file", file, ...args], { env: CLI_ENV, ...options });
}

/** As much of a flow in JSON form as the tests look at. */
export interface FlowJson {
  time: string;
  uuid: string;
  verdict: string;
  IP: { source: string; destination: string; ipVersion: string };
  l4: Record<
    string,
    { source_port?: number; destination_port?: number; flags?: Record<string, boolean>; type?: number }
  >;
  source?: { identity?: number; labels?: string[]; namespace?: string; pod_name?: string };
  destination?: { identity?: number; labels?: string[]; namespace?: string; pod_name?: string };
  node_name: string;
  event_type: { type: number; sub_type?: number };
  traffic_direction?: string;
  trace_observation_point?: string;
  is_reply?: boolean;
  interface?: { index?: number; name?: string };
  Summary?: string;
  extensions?: Record<string, unknown>;
}

/** The flows of `-o json` output. Lines that hold something else (lost events, node status) are left out. */
export function flowsOf(output: Output): FlowJson[] {
  return output.stdout.split("\n").filter((line) => line !== "")
    .map((line) => JSON.parse(line) as { flow?: FlowJson })
    .flatMap((line) => line.flow ?? []);
}

function exists(path: string): boolean {
  try {
    return Deno.statSync(path).isFile;
  } catch {
    return false;
  }
}
