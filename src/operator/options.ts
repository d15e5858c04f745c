import { Command, CommanderError, Option } from "commander";
import { TextRequested, UsageError } from "../cli/errors.ts";
import { integer, listenAddress, nonEmpty, oneOf, port } from "../cli/values.ts";
import { LOG_FORMATS, LOG_LEVELS, type LogFormat, type LogLevel } from "../telemetry/log.ts";
import { VERSION } from "./version.ts";

/** What the operator was asked to do: every flag with its value or default. */
export interface OperatorOptions {
  readonly grpcAddress: string;
  readonly grpcPort: number;
  readonly debugAddress: string;
  readonly debugPort: number;
  readonly debugRemote: boolean;
  readonly kubeconfig?: string;
  readonly clusterName: string;
  readonly leaderElect: boolean;
  readonly leaseName: string;
  /** Empty: the namespace of the pod or of the kubeconfig's context. */
  readonly leaseNamespace: string;
  /** Name of this replica in the Lease. */
  readonly identity: string;
  readonly tlsCertFile?: string;
  readonly tlsKeyFile?: string;
  readonly tlsClientCaFile?: string;
  /** Milliseconds. */
  readonly batchInterval: number;
  readonly changeLogBytes: number;
  readonly logLevel: LogLevel;
  readonly logFormat: LogFormat;
}

/** What the surroundings contribute to the options. */
export interface OptionsContext {
  readonly env: (name: string) => string | undefined;
  readonly hostname: () => string;
}

const MIB = 1024 * 1024;

/**
 * Reads the operator's command line.
 * @throws UsageError for unknown flags and bad values, TextRequested for `--help` and `--version`.
 */
export function parseOptions(args: readonly string[], context: OptionsContext): OperatorOptions {
  const command = operatorCommand();
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
  const values = command.opts<Omit<OperatorOptions, "identity"> & { identity?: string }>();
  if ((values.tlsCertFile === undefined) !== (values.tlsKeyFile === undefined)) {
    throw new UsageError("Cannot use TLS with one of --tls-cert-file and --tls-key-file: give both");
  }
  if (values.tlsClientCaFile !== undefined && values.tlsCertFile === undefined) {
    throw new UsageError("Cannot ask agents for certificates without TLS: give --tls-cert-file and --tls-key-file too");
  }
  return {
    ...values,
    leaseNamespace: values.leaseNamespace || (context.env("POD_NAMESPACE") ?? ""),
    identity: values.identity ??
      (context.env("POD_NAME") || `${context.hostname()}-${crypto.randomUUID().slice(0, 8)}`),
  };
}

function operatorCommand(): Command {
  const flag = <T>(flags: string, text: string, parse: (flag: string) => (value: string) => T, fallback?: T) => {
    const option = new Option(flags, text);
    const parser = parse(option.long ?? flags);
    option.argParser((value) => parser(value));
    return fallback === undefined ? option : option.default(fallback);
  };
  const file = (flags: string, text: string) => flag(flags, text, (f) => nonEmpty(f, "a path"));
  const name = (flags: string, text: string, fallback?: string) =>
    flag(flags, text, (f) => nonEmpty(f, "a name"), fallback);
  return new Command("retina-operator")
    .description("Watches a Kubernetes cluster and tells agents which address belongs to which pod, service or node.")
    .version(`retina-operator ${VERSION}`)
    .allowExcessArguments(false)
    .addOption(flag("--grpc-address <address>", "address of the gRPC server; empty for all", listenAddress, ""))
    .addOption(flag("--grpc-port <port>", "TCP port of the gRPC server", port, 9090))
    .addOption(
      flag(
        "--debug-address <address>",
        "address of probes, metrics and debug endpoints; empty for all",
        listenAddress,
        "",
      ),
    )
    .addOption(flag("--debug-port <port>", "TCP port of probes, metrics and debug endpoints", port, 9091))
    .option("--debug-remote", "serve /debug/ to every client, not to loopback clients alone", false)
    .addOption(
      file(
        "--kubeconfig <file>",
        "kubeconfig (default: the pod's service account, else KUBECONFIG, else ~/.kube/config)",
      ),
    )
    .addOption(name("--cluster-name <name>", "name of this cluster in flows (default: none)").default(""))
    .option("--leader-elect", "serve agents only while holding a Lease, so that several replicas can run", false)
    .addOption(name("--lease-name <name>", "name of the Lease", "retina-operator"))
    .addOption(
      name("--lease-namespace <name>", "namespace of the Lease (default: POD_NAMESPACE, else that of the credentials)")
        .default(""),
    )
    .addOption(name("--identity <name>", "name of this replica in the Lease (default: POD_NAME, else the host's name)"))
    .addOption(
      file("--tls-cert-file <file>", "certificate of the gRPC server; without it agents are served in plain text"),
    )
    .addOption(file("--tls-key-file <file>", "key of the certificate"))
    .addOption(file("--tls-client-ca-file <file>", "authority that agents' certificates must come from"))
    .addOption(
      flag("--batch-interval <ms>", "changes of this many milliseconds travel together", (f) => integer(f, 1, 100), 50),
    )
    .addOption(
      flag(
        "--change-log-bytes <bytes>",
        "past changes kept for agents that reconnect or are slow",
        (f) => integer(f, MIB, 1024 * MIB),
        16 * MIB,
      ),
    )
    .addOption(flag("--log-level <level>", LOG_LEVELS.join(", "), (f) => oneOf(f, LOG_LEVELS), "info"))
    .addOption(flag("--log-format <format>", LOG_FORMATS.join(" or "), (f) => oneOf(f, LOG_FORMATS), "text"));
}
