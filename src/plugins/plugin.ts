/**
 * What a plugin is to the agent: something that watches the node and pushes records, and can say how it fares.
 *
 * The agent gives each plugin narrow interfaces; a plugin knows neither gRPC nor a metrics library nor another plugin.
 */

/** Takes records as they lie in a ring. `RecordSink` of `src/flow` is one. */
export interface RecordConsumer {
  /**
   * Takes in one record, valid only during the call.
   *
   * @param u32 words of the memory that holds it
   * @param at byte offset, a multiple of four
   * @param length bytes
   */
  push(u32: Uint32Array, at: number, length: number): void;
  /** Sets what must be added to the time stamps of the records that follow to make wall time: seconds, and 0..999,999,999 ns. */
  setWallOffset(seconds: number, nanos: number): void;
  /** Called after each batch of records. */
  flush(): void;
}

/** Keeps the names of interfaces by the kernel's index. `InterfaceTable` of `src/flow` is one. */
export interface InterfaceNames {
  set(ifindex: number, name: string): unknown;
  remove(ifindex: number): void;
}

/** Writes log lines; properties stand in the message as `{name}`. A logger of LogTape is one. */
export interface PluginLogger {
  debug(message: string, properties?: Record<string, unknown>): void;
  info(message: string, properties?: Record<string, unknown>): void;
  warning(message: string, properties?: Record<string, unknown>): void;
  error(message: string, properties?: Record<string, unknown>): void;
}

/** Events that the kernel could not hand over. */
export interface Loss {
  /** CPU that the packets were on. */
  readonly cpu: number;
  /** Events lost since the last call for this CPU. */
  readonly count: number;
  /** Wall time of the check before and of this one, in nanoseconds: the events were lost between them. */
  readonly firstNanos: bigint;
  readonly lastNanos: bigint;
}

/** What the agent gives a plugin. */
export interface PluginContext {
  readonly sink: RecordConsumer;
  readonly interfaces: InterfaceNames;
  readonly log: PluginLogger;
  /** Told of losses, about once a second while there are any. */
  readonly onLoss: (loss: Loss) => void;
}

/** How a plugin fares. */
export interface PluginHealth {
  /** False when only a restart can help: `/healthz` fails. */
  readonly ok: boolean;
  /** One line that says why it is not ok, or what it does. */
  readonly detail: string;
  /** What does not work while the rest does, for instance interfaces that could not be attached; for `/readyz`. */
  readonly problems: readonly string[];
}

/** A part of the agent that watches something and can be started and stopped once. */
export interface Plugin {
  readonly name: string;
  /** Starts watching. After a failure nothing is left behind in the kernel. */
  start(): Promise<void>;
  /** Stops watching, hands over what is still in the rings, and undoes everything. Stopping twice is harmless. */
  stop(): Promise<void>;
  health(): PluginHealth;
}
