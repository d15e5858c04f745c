import { Command, Option } from "commander";
import {
  integer,
  interfaceName,
  listenAddress,
  nonEmpty,
  oneOf,
  port,
  positiveNumber,
  powerOfTwo,
  regularExpression,
} from "../cli/values.ts";
import { LOG_FORMATS, LOG_LEVELS } from "../telemetry/log.ts";
import { VERSION } from "./version.ts";

export const TC_ATTACH_MODES = ["auto", "tcx", "legacy"] as const;
export const OPERATOR_PLACES = ["embedded"] as const;
export const EVENT_TRANSPORTS = ["auto", "ring", "perf"] as const;

const MIB = 1024 * 1024;

/** The agent's flags, in the order that `--help` shows them. */
export function agentCommand(): Command {
  const command = new Command("retina-agent")
    .description("Watches this node's network with eBPF and serves its flows over Hubble's gRPC API.")
    .version(`retina-agent ${VERSION}`)
    .allowExcessArguments(false)
    .addHelpText("after", "\nCommands:\n  detach  remove what a killed agent left on the interfaces, and exit");
  for (const option of [...captureFlags(), ...nameFlags(), ...hubbleFlags(), ...otherFlags()]) {
    command.addOption(option);
  }
  return command;
}

function captureFlags(): Option[] {
  return [
    list(
      "--extra-interfaces <interface>",
      "watch this device of the node, or auto for all its own ones; repeatable",
      interfaceName,
    ),
    toggle("--pod-level", "watch every veth and netkit device whose peer is in another network namespace"),
    flag("--pod-interfaces <regex>", "with --pod-level: only devices whose name matches", regularExpression),
    flag("--tc-attach <mode>", "auto, tcx (kernel 6.6 and later) or legacy", (f) => oneOf(f, TC_ATTACH_MODES), "auto"),
    flag(
      "--event-transport <kind>",
      "auto, ring (kernel 5.8 and later) or perf",
      (f) => oneOf(f, EVENT_TRANSPORTS),
      "auto",
    ),
    flag(
      "--ring-buffer-size <bytes>",
      "size of the kernel's event ring",
      (f) => powerOfTwo(f, 4096, 1024 * MIB),
      8 * MIB,
    ),
    flag("--perf-pages <n>", "pages of each CPU's perf ring", (f) => powerOfTwo(f, 1, 16_384), 256),
    flag(
      "--conntrack-entries <n>",
      "connections that the kernel tracks at once",
      (f) => integer(f, 1024, 16 * MIB),
      262_144,
    ),
    flag(
      "--sampling-rate <n>",
      "report one in n first packets of non-TCP connections; 1: all",
      (f) => integer(f, 1, 0xffffffff),
      1,
    ),
    flag(
      "--replay <file>",
      "serve the flows of this file of JSON lines (- for standard input) instead of capturing",
      file,
    ),
    flag(
      "--replay-speed <factor>",
      "replay this much faster than the flows happened (default: at once)",
      positiveNumber,
    ),
  ];
}

function hubbleFlags(): Option[] {
  return [
    flag("--hubble-address <address>", "address of the gRPC server; empty for all", listenAddress, ""),
    flag("--hubble-port <port>", "TCP port of the gRPC server", port, 4244),
    flag("--hubble-socket <path>", "unix socket to serve as well, in plain text", file),
    flag("--tls-cert-file <path>", "certificate of the gRPC server, PEM; needs --tls-key-file", file),
    flag("--tls-key-file <path>", "private key of the certificate, PEM", file),
    flag("--tls-client-ca-file <path>", "demand a client certificate that one of these authorities signed, PEM", file),
    flag("--max-streams <n>", "calls that one connection may have open", (f) => integer(f, 1, 1_000_000), 1000),
    flag("--max-connections <n>", "connections that are served at once", (f) => integer(f, 1, 1_000_000), 1000),
    flag("--max-message-bytes <n>", "largest request", (f) => integer(f, 1024, 256 * MIB), 4 * MIB),
    flag(
      "--idle-timeout <seconds>",
      "close a connection that has no calls after this long",
      (f) => integer(f, 1, 86_400),
      300,
    ),
    flag(
      "--keepalive <seconds>",
      "ping connections this often; close one that does not answer",
      (f) => integer(f, 1, 86_400),
      60,
    ),
  ];
}

function nameFlags(): Option[] {
  return [
    flag("--identities <file>", "YAML file that names addresses and CIDRs; read again when it changes", file),
    flag(
      "--operator <where>",
      "embedded: watch the Kubernetes API from this agent, for one node or a laptop",
      (f) => oneOf(f, OPERATOR_PLACES),
    ),
    flag(
      "--kubeconfig <path>",
      "with --operator embedded (default: in-cluster, else KUBECONFIG, else ~/.kube/config)",
      file,
    ),
    flag(
      "--operator-addr <address>",
      "operator that names the cluster's addresses: host:port, or https://host:port for TLS",
      (f) => nonEmpty(f, "host:port, http://host:port or https://host:port"),
    ),
    flag("--operator-ca-file <path>", "authority that signed the operator's certificate, PEM", file),
    flag("--operator-cert-file <path>", "this agent's certificate for the operator, PEM", file),
    flag("--operator-key-file <path>", "private key of that certificate, PEM", file),
    flag("--operator-server-name <name>", "name in the operator's certificate", (f) => nonEmpty(f, "a host name")),
  ];
}

function otherFlags(): Option[] {
  return [
    flag("--flow-capacity <n>", "flows kept in memory", (f) => powerOfTwo(f, 1024, 16 * MIB), 65_536),
    flag(
      "--node-name <name>",
      "this node's name (default: NODE_NAME, else the host's name)",
      (f) => nonEmpty(f, "a node name"),
    ),
    flag("--cluster-name <name>", "this cluster's name, when there are several", (f) => nonEmpty(f, "a cluster name")),
    flag("--metrics-address <address>", "address of the metrics and debug server; empty for all", listenAddress, ""),
    flag("--metrics-port <port>", "TCP port of the metrics and debug server", port, 10_093),
    toggle("--debug-remote", "serve /debug/ to every client, not to loopback clients alone"),
    flag("--log-level <level>", LOG_LEVELS.join(", "), (f) => oneOf(f, LOG_LEVELS), "info"),
    flag("--log-format <format>", LOG_FORMATS.join(" or "), (f) => oneOf(f, LOG_FORMATS), "text"),
    toggle("--print", "write every flow to standard output as one line"),
  ];
}

/** A flag with a value. */
function flag<T>(flags: string, text: string, parser: (flag: string) => (value: string) => T, fallback?: T): Option {
  const option = new Option(flags, text);
  const parse = parser(option.long ?? flags);
  option.argParser((value) => parse(value));
  return fallback === undefined ? option : option.default(fallback);
}

/** A flag that may be given several times. */
function list<T>(flags: string, text: string, parser: (flag: string) => (value: string) => T): Option {
  const option = new Option(flags, text);
  const parse = parser(option.long ?? flags);
  return option.argParser((value: string, earlier: readonly T[]) => [...earlier, parse(value)]).default([], "none");
}

/** A flag without a value. */
function toggle(flags: string, text: string): Option {
  return new Option(flags, text).default(false);
}

function file(name: string): (value: string) => string {
  return nonEmpty(name, "a path");
}
