import { Command, CommanderError, Option } from "commander";
import { EnvironmentError, TextRequested, UsageError } from "../cli/errors.ts";
import { integer, interfaceName, listenAddress, nonEmpty, oneOf, port, powerOfTwo } from "../cli/values.ts";
import { LOG_FORMATS, LOG_LEVELS, type LogFormat, type LogLevel } from "../telemetry/log.ts";
import { VERSION } from "./version.ts";

export const TC_ATTACH_MODES = ["auto", "tcx", "legacy"] as const;
export type TcAttachMode = typeof TC_ATTACH_MODES[number];

/** What the agent was asked to do: every flag with its value or default. */
export interface AgentOptions {
  readonly extraInterfaces: readonly string[];
  readonly podLevel: boolean;
  readonly tcAttach: TcAttachMode;
  readonly samplingRate: number;
  readonly ringBufferSize: number;
  readonly conntrackEntries: number;
  readonly flowCapacity: number;
  readonly hubbleAddress: string;
  readonly hubblePort: number;
  readonly metricsAddress: string;
  readonly metricsPort: number;
  readonly debugRemote: boolean;
  readonly nodeName: string;
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

const MIB = 1024 * 1024;

/**
 * Reads the agent's command line. A flag wins over its environment variable (`--hubble-port`, RETINA_HUBBLE_PORT), which wins
 * over the default.
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
    const message = error.message.replace(/^error: /, "").replace(/\s*\n\s*/g, " ");
    throw new UsageError(`${message.replace(/^./, (c) => c.toUpperCase())}: run with --help to see every flag`);
  }
  applyEnvironment(command, context.env);
  const values = command.opts<Omit<AgentOptions, "nodeName"> & { nodeName?: string }>();
  return { ...values, nodeName: values.nodeName ?? nodeNameFrom(context) };
}

function agentCommand(): Command {
  const flag = <T>(flags: string, text: string, parse: (flag: string) => (value: string) => T, fallback?: T) => {
    const option = new Option(flags, text);
    const parser = parse(option.long ?? flags);
    option.argParser((value) => parser(value));
    return fallback === undefined ? option : option.default(fallback);
  };
  return new Command("retina-agent")
    .description("Watches this node's network with eBPF and serves its flows over Hubble's gRPC API.")
    .version(`retina-agent ${VERSION}`)
    .allowExcessArguments(false)
    .addOption(
      new Option(
        "--extra-interfaces <interface>",
        "watch this device of the node, or `auto` for all of its own devices; repeatable",
      )
        .argParser((
          value: string,
          earlier: readonly string[],
        ) => [...earlier, interfaceName("--extra-interfaces")(value)])
        .default([], "none"),
    )
    .option("--pod-level", "watch every veth and netkit device whose peer is in another network namespace", false)
    .addOption(
      flag(
        "--tc-attach <mode>",
        "how to attach: auto, tcx (kernel 6.6 and later) or legacy",
        (f) => oneOf(f, TC_ATTACH_MODES),
        "auto",
      ),
    )
    .addOption(
      flag(
        "--sampling-rate <n>",
        "report one in n first packets of non-TCP connections; 1 reports all",
        (f) => integer(f, 1, 0xffffffff),
        1,
      ),
    )
    .addOption(
      flag(
        "--ring-buffer-size <bytes>",
        "size of the kernel's event ring",
        (f) => powerOfTwo(f, 4096, 1024 * MIB),
        8 * MIB,
      ),
    )
    .addOption(
      flag(
        "--conntrack-entries <n>",
        "connections that the kernel tracks at once",
        (f) => integer(f, 1024, 16 * MIB),
        262_144,
      ),
    )
    .addOption(flag("--flow-capacity <n>", "flows kept in memory", (f) => powerOfTwo(f, 1024, 16 * MIB), 65_536))
    .addOption(flag("--hubble-address <address>", "address of the gRPC server; empty for all", listenAddress, ""))
    .addOption(flag("--hubble-port <port>", "TCP port of the gRPC server", port, 4244))
    .addOption(
      flag("--metrics-address <address>", "address of the metrics and debug server; empty for all", listenAddress, ""),
    )
    .addOption(flag("--metrics-port <port>", "TCP port of the metrics and debug server", port, 10_093))
    .option("--debug-remote", "serve /debug/ to every client, not to loopback clients alone", false)
    .addOption(
      flag(
        "--node-name <name>",
        "this node's name (default: NODE_NAME, else the host's name)",
        (f) => nonEmpty(f, "a node name"),
      ),
    )
    .addOption(flag("--log-level <level>", `${LOG_LEVELS.join(", ")}`, (f) => oneOf(f, LOG_LEVELS), "info"))
    .addOption(flag("--log-format <format>", `${LOG_FORMATS.join(" or ")}`, (f) => oneOf(f, LOG_FORMATS), "text"))
    .option("--print", "write every flow to standard output as one line", false);
}

/** Gives every option its environment variable: `--hubble-port` is RETINA_HUBBLE_PORT. Lists are comma-separated, switches `true` or `false`. */
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
  try {
    if (Array.isArray(option.defaultValue)) {
      return value.split(",").filter((part) => part !== "").reduce<unknown>(
        (list, part) => option.parseArg!(part, list),
        [],
      );
    }
    return option.parseArg ? option.parseArg(value, undefined) : value;
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
