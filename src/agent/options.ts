import { type Command, CommanderError, type Option } from "commander";
import { EnvironmentError, TextRequested, UsageError } from "../cli/errors.ts";
import { oneOf } from "../cli/values.ts";
import type { LogFormat, LogLevel } from "../telemetry/log.ts";
import { agentCommand, type EVENT_TRANSPORTS, type OPERATOR_PLACES, type TC_ATTACH_MODES } from "./option_table.ts";

/** What the agent was asked to do: every flag with its value or default. `option_table.ts` has their meaning. */
export interface AgentOptions {
  readonly extraInterfaces: readonly string[];
  readonly podLevel: boolean;
  readonly podInterfaces?: RegExp;
  readonly tcAttach: typeof TC_ATTACH_MODES[number];
  readonly eventTransport: typeof EVENT_TRANSPORTS[number];
  readonly ringBufferSize: number;
  readonly perfPages: number;
  readonly conntrackEntries: number;
  readonly samplingRate: number;
  readonly replay?: string;
  readonly replaySpeed?: number;
  readonly identities?: string;
  readonly operator?: typeof OPERATOR_PLACES[number];
  readonly kubeconfig?: string;
  readonly operatorAddr?: string;
  readonly operatorCaFile?: string;
  readonly operatorCertFile?: string;
  readonly operatorKeyFile?: string;
  readonly operatorServerName?: string;
  readonly hubbleAddress: string;
  readonly hubblePort: number;
  readonly hubbleSocket?: string;
  readonly tlsCertFile?: string;
  readonly tlsKeyFile?: string;
  readonly tlsClientCaFile?: string;
  readonly maxStreams: number;
  readonly maxConnections: number;
  readonly maxMessageBytes: number;
  /** Seconds. */
  readonly idleTimeout: number;
  /** Seconds. */
  readonly keepalive: number;
  readonly flowCapacity: number;
  readonly nodeName: string;
  readonly clusterName?: string;
  readonly metricsAddress: string;
  readonly metricsPort: number;
  readonly debugRemote: boolean;
  readonly logLevel: LogLevel;
  readonly logFormat: LogFormat;
  readonly print: boolean;
}

/** What the surroundings contribute to the options. */
export interface OptionsContext {
  /** An environment variable's value, or undefined. */
  readonly env: (name: string) => string | undefined;
  /** The host's name, asked only when neither `--node-name` nor NODE_NAME tells. */
  readonly hostname: () => string;
}

/**
 * Reads the agent's command line. A flag wins over its environment variable (`--hubble-port`, RETINA_HUBBLE_PORT), which
 * wins over the default.
 * @throws UsageError for unknown flags and bad values, TextRequested for `--help` and `--version`.
 */
export function parseOptions(args: readonly string[], context: OptionsContext): AgentOptions {
  const command = agentCommand();
  let text = "";
  command.exitOverride().configureOutput({ writeOut: (out) => text += out, writeErr: () => {} });
  try {
    command.parse([...args], { from: "user" });
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    if (error.exitCode === 0) throw new TextRequested(text.trimEnd());
    const message = error.message.replace(/^error: /, "").replace(/\.?$/, "").replace(/\s*\n\s*/g, " ");
    throw new UsageError(`${message.replace(/^./, (c) => c.toUpperCase())}: run with --help to see every flag`);
  }
  applyEnvironment(command, context.env);
  const values = command.opts<Omit<AgentOptions, "nodeName"> & { nodeName?: string }>();
  checkTogether(values);
  return { ...values, nodeName: values.nodeName ?? nodeNameFrom(context) };
}

/** Refuses flags that contradict each other. */
function checkTogether(options: Omit<AgentOptions, "nodeName">): void {
  const { tlsCertFile, tlsKeyFile, tlsClientCaFile, replay, replaySpeed, podLevel, podInterfaces } = options;
  if ((tlsCertFile === undefined) !== (tlsKeyFile === undefined)) {
    throw new UsageError("Cannot use TLS with one of --tls-cert-file and --tls-key-file: give both");
  }
  if (tlsClientCaFile !== undefined && tlsCertFile === undefined) {
    throw new UsageError("Cannot use --tls-client-ca-file without TLS: give --tls-cert-file and --tls-key-file too");
  }
  if ((options.operatorCertFile === undefined) !== (options.operatorKeyFile === undefined)) {
    throw new UsageError("Cannot use one of --operator-cert-file and --operator-key-file: give both");
  }
  const operatorTls = [options.operatorCaFile, options.operatorCertFile, options.operatorServerName];
  if (operatorTls.some((value) => value !== undefined) && !options.operatorAddr?.startsWith("https://")) {
    throw new UsageError("Cannot use TLS with the operator: give its address as --operator-addr https://host:port");
  }
  if (options.operator !== undefined && options.operatorAddr !== undefined) {
    throw new UsageError("Cannot use --operator embedded with --operator-addr: names come from one of them");
  }
  if (options.kubeconfig !== undefined && options.operator === undefined) {
    throw new UsageError("Cannot use --kubeconfig without --operator embedded");
  }
  if (replaySpeed !== undefined && replay === undefined) {
    throw new UsageError(`Cannot use --replay-speed ${replaySpeed} without --replay`);
  }
  if (replay !== undefined && (podLevel || options.extraInterfaces.length > 0)) {
    throw new UsageError("Cannot use --replay with --pod-level or --extra-interfaces: a replay captures nothing");
  }
  if (podInterfaces !== undefined && !podLevel) throw new UsageError("Cannot use --pod-interfaces without --pod-level");
}

/** Gives every option its environment variable. Lists are comma-separated, switches `true` or `false`. */
function applyEnvironment(command: Command, env: OptionsContext["env"]): void {
  for (const option of command.options) {
    if (!option.long || option.long === "--version") continue;
    const name = `RETINA_${option.long.slice(2).replaceAll("-", "_").toUpperCase()}`;
    const value = env(name);
    if (value === undefined || command.getOptionValueSource(option.attributeName()) === "cli") continue;
    command.setOptionValueWithSource(option.attributeName(), environmentValue(option, name, value), "env");
  }
}

function environmentValue(option: Option, name: string, value: string): unknown {
  if (!option.required) return oneOf(name, ["true", "false"])(value) === "true";
  const parse = option.parseArg;
  try {
    if (parse === undefined) return value;
    if (!Array.isArray(option.defaultValue)) return parse(value, undefined);
    return value.split(",").filter((part) => part !== "").reduce<unknown>((list, part) => parse(part, list), []);
  } catch (error) {
    throw error instanceof UsageError ? new UsageError(`${name}: ${error.message}`) : error;
  }
}

function nodeNameFrom(context: OptionsContext): string {
  const name = context.env("NODE_NAME")?.trim() || context.hostname().trim();
  if (name !== "") return name;
  throw new EnvironmentError(
    "Cannot tell this node's name: NODE_NAME is not set and the host has no name; use --node-name",
  );
}
