/** The replay plugin: serves flows from a file or standard input instead of this node's traffic. */
import type { Timestamp } from "@bufbuild/protobuf/wkt";
import type { FlowStore } from "../../flow/store.ts";
import type { Plugin } from "../plugin.ts";
import { LineReader } from "./line.ts";
import { splitLines } from "./lines.ts";

/** Longest line, in bytes: a hundred times what Hubble writes. */
const MAX_LINE_BYTES = 1024 * 1024;
/** Bad lines that are reported one by one; the others are counted. */
const MAX_REPORTS = 10;
/** setTimeout() takes at most 2^31 − 1 milliseconds; a longer gap in the log is waited for in pieces. */
const MAX_WAIT_MS = 2 ** 30;

/** What to replay, and where to. */
export interface ReplayOptions {
  /** Path of the file, `-` for standard input. A name that ends in `.gz` is decompressed. */
  readonly path: string;
  /** How much faster than they happened flows are replayed; 0: at once. */
  readonly speed: number;
  readonly store: Pick<FlowStore, "pushMessage" | "pushLost" | "flushBatch" | "capacity">;
  /** Told about bad lines and the end. */
  readonly report: (message: string) => void;
  /** Standard input, for tests. */
  readonly stdin?: ReadableStream<Uint8Array>;
}

/** A replay; `start` fails with an Error when the file cannot be opened. */
export interface Replay extends Plugin {
  /** Resolves when everything is replayed, or the replay was stopped. */
  readonly finished: Promise<void>;
}

/** Makes a replay that has not begun. */
export function createReplay(options: ReplayOptions): Replay {
  const abort = new AbortController();
  const { promise: finished, resolve: finish } = Promise.withResolvers<void>();
  const count = { flows: 0, lost: 0, bad: 0 };
  let state: "waiting" | "running" | "done" | "failed" = "waiting";
  let failure = "";
  return {
    name: "replay",
    finished,
    async start() {
      const source = await open(options);
      state = "running";
      void replay(source, options, count, abort.signal).then(
        () => state = "done",
        (error) => {
          state = "failed";
          failure = error instanceof Error ? error.message : String(error);
          options.report(`Failed to read ${options.path}: ${failure}`);
        },
      ).finally(finish);
    },
    async stop() {
      abort.abort();
      if (state !== "waiting") await finished;
    },
    health() {
      const detail = `${count.flows} flows of ${options.path}, ${count.bad} bad lines, ${state}`;
      // What was replayed before a failure is still worth serving.
      return { ok: true, detail, problems: state === "failed" ? [`Failed to read ${options.path}: ${failure}`] : [] };
    },
  };
}

async function open({ path, stdin }: ReplayOptions): Promise<ReadableStream<Uint8Array>> {
  if (path === "-") return stdin ?? Deno.stdin.readable;
  const file = await Deno.open(path).catch((cause) => {
    if (cause instanceof Deno.errors.NotFound) throw new Error(`Cannot replay ${path}: no such file`);
    throw new Error(`Cannot replay ${path}`, { cause });
  });
  if ((await file.stat()).isDirectory) {
    file.close();
    throw new Error(`Cannot replay ${path}: it is a folder, expected a file of JSON lines`);
  }
  const bytes: ReadableStream<Uint8Array<ArrayBuffer>> = file.readable;
  return path.endsWith(".gz") ? bytes.pipeThrough(new DecompressionStream("gzip")) : bytes;
}

async function replay(
  source: ReadableStream<Uint8Array>,
  { path, speed, store, report }: ReplayOptions,
  count: { flows: number; lost: number; bad: number },
  signal: AbortSignal,
): Promise<void> {
  const lines = new LineReader();
  const pace = speed > 0 ? new Pace(speed) : undefined;
  const bad = (number: number, problem: string) => {
    if (++count.bad <= MAX_REPORTS) report(`Skipped line ${number} of ${path}: ${problem}`);
  };
  for await (const batch of splitLines(untilAborted(source, signal), MAX_LINE_BYTES)) {
    for (const { number, text, problem } of batch) {
      if (signal.aborted) return;
      if (text === undefined) {
        bad(number, problem ?? "unreadable");
        continue;
      }
      let event;
      try {
        event = lines.read(text);
      } catch (error) {
        bad(number, error instanceof Error ? error.message : String(error));
        continue;
      }
      if (event.kind === "other") continue;
      if (pace !== undefined && pace.waits(event.time)) {
        store.flushBatch();
        await pace.until(event.time, signal);
        if (signal.aborted) return;
      }
      if (event.kind === "flow") {
        store.pushMessage(event.flow);
        count.flows++;
      } else {
        store.pushLost(event.lost, Number(event.time.seconds), event.time.nanos);
        count.lost++;
      }
    }
    store.flushBatch();
  }
  if (signal.aborted) return;
  if (count.bad > MAX_REPORTS) report(`Skipped ${count.bad} bad lines of ${path}`);
  report(`Replayed ${count.flows} flows of ${path}`);
  if (count.flows + count.lost > store.capacity && pace === undefined) {
    report(`Only the last ${store.capacity} flows are kept: use a larger --flow-capacity`);
  }
}

/** The chunks of a stream, until `signal` is aborted. Closes the stream. */
async function* untilAborted(source: ReadableStream<Uint8Array>, signal: AbortSignal): AsyncGenerator<Uint8Array> {
  const reader = source.getReader();
  const cancel = () => void reader.cancel().catch(() => {});
  signal.addEventListener("abort", cancel);
  try {
    while (!signal.aborted) {
      const { value, done } = await reader.read();
      if (done) return;
      yield value;
    }
  } finally {
    signal.removeEventListener("abort", cancel);
    await reader.cancel().catch(() => {});
  }
}

/** Says when a flow is due: as long after the first one as it happened, divided by the speed. */
class Pace {
  #offset: number | undefined;

  constructor(readonly speed: number) {}

  /** Whether the event of `time` lies in the future. */
  waits(time: Timestamp): boolean {
    return this.#delay(time) >= 1;
  }

  /** Waits until the event of `time` is due, or `signal` is aborted. */
  async until(time: Timestamp, signal: AbortSignal): Promise<void> {
    for (let delay = this.#delay(time); delay > 0 && !signal.aborted; delay = this.#delay(time)) {
      await sleep(Math.min(delay, MAX_WAIT_MS), signal);
    }
  }

  #delay(time: Timestamp): number {
    const scaled = (Number(time.seconds) * 1000 + time.nanos / 1e6) / this.speed;
    this.#offset ??= performance.now() - scaled;
    return scaled + this.#offset - performance.now();
  }
}

function sleep(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(done, ms);
    function done() {
      clearTimeout(timer);
      signal.removeEventListener("abort", done);
      resolve();
    }
    signal.addEventListener("abort", done);
    if (signal.aborted) done();
  });
}
