import { configure, getLogger, getTextFormatter, type LogRecord, reset } from "@logtape/logtape";

/** Levels of `--log-level`, least severe first. */
export const LOG_LEVELS = ["trace", "debug", "info", "warning", "error"] as const;
export type LogLevel = typeof LOG_LEVELS[number];

/** Forms of `--log-format`: `text` for people, `json` (one object a line) for log collectors. */
export const LOG_FORMATS = ["text", "json"] as const;
export type LogFormat = typeof LOG_FORMATS[number];

const text = getTextFormatter({
  timestamp: "rfc3339",
  level: "FULL",
  category: ".",
  value: plain,
});

/** One log record as a line of JSON: `ts` (RFC 3339), `level`, `logger`, `msg`, then the record's own properties. */
export function formatJson(record: LogRecord): string {
  const head = {
    ts: new Date(record.timestamp).toISOString(),
    level: record.level,
    logger: record.category.join("."),
    msg: record.message.map((part) => typeof part === "string" ? part : plain(part)).join(""),
  };
  return JSON.stringify(
    { ...record.properties, ...head },
    (_key, value) => typeof value === "bigint" || value instanceof Error ? plain(value) : value,
  ) + "\n";
}

function plain(value: unknown): string {
  if (value instanceof Error) return value.message;
  return typeof value === "object" && value !== null ? JSON.stringify(value) : String(value);
}

/**
 * Sends every log line to standard error, so that standard output stays free for flows (`--print`).
 * Writes are synchronous: a line that explains an exit must not be lost by that exit.
 */
export async function configureLogs(level: LogLevel, format: LogFormat): Promise<void> {
  const encoder = new TextEncoder();
  const render = format === "json" ? formatJson : text;
  await configure({
    reset: true,
    sinks: { stderr: (record) => writeFully(encoder.encode(render(record))) },
    loggers: [
      { category: ["retina"], lowestLevel: level, sinks: ["stderr"] },
      { category: ["logtape", "meta"], lowestLevel: "error", sinks: ["stderr"] },
    ],
  });
}

/** Takes the log configuration back; tests need it between cases. */
export async function resetLogs(): Promise<void> {
  await reset();
}

/** The logger of one part of the program: `logger("hubble")`. */
export function logger(part: string) {
  return getLogger(["retina", part]);
}

function writeFully(bytes: Uint8Array): void {
  try {
    for (let at = 0; at < bytes.length;) at += Deno.stderr.writeSync(bytes.subarray(at));
  } catch {
    // Nobody reads standard error any more; there is no better place to complain.
  }
}
