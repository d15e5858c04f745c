import { Session } from "node:inspector";
import { Function as PprofFunction, Line, Location, Profile, Sample, StringTable, ValueType } from "pprof-format";

/** V8's CPU profile (Chrome DevTools protocol, Profiler.Profile): times in microseconds. */
export interface CpuProfile {
  readonly nodes: readonly CpuProfileNode[];
  readonly startTime: number;
  readonly endTime: number;
  readonly samples?: readonly number[];
  readonly timeDeltas?: readonly number[];
}

export interface CpuProfileNode {
  readonly id: number;
  readonly callFrame: { readonly functionName: string; readonly url: string; readonly lineNumber: number };
  readonly children?: readonly number[];
}

/** Raised when a profile is asked for while another one runs: V8 has one profiler. */
export class ProfilerBusyError extends Error {
  override name = "ProfilerBusyError";
}

let running = false;

/**
 * Profiles this process for `seconds` and gives the profile in pprof's protobuf form, gzip-compressed, as `go tool pprof` reads it.
 * @param intervalMicros time between two samples, in microseconds
 * @throws ProfilerBusyError when a profile is being taken already
 */
export async function takeCpuProfile(
  seconds: number,
  intervalMicros: number,
  signal?: AbortSignal,
): Promise<Uint8Array<ArrayBuffer>> {
  if (running) throw new ProfilerBusyError("A CPU profile is being taken already: try again when it has ended");
  running = true;
  const session = new Session();
  try {
    session.connect();
    await post(session, "Profiler.enable");
    await post(session, "Profiler.setSamplingInterval", { interval: intervalMicros });
    await post(session, "Profiler.start");
    await sleep(seconds * 1000, signal);
    const { profile } = await post(session, "Profiler.stop") as { profile: CpuProfile };
    return await gzip(toPprof(profile).encode());
  } finally {
    session.disconnect();
    running = false;
  }
}

/** Turns a V8 CPU profile into pprof's form with the sample types `samples/count` and `cpu/nanoseconds`. */
export function toPprof(cpu: CpuProfile): Profile {
  const stringTable = new StringTable();
  const text = (value: string) => stringTable.dedup(value);
  const functions: PprofFunction[] = [];
  const locations: Location[] = [];
  const functionIds = new Map<string, number>();
  const parents = new Map<number, number>();
  for (const node of cpu.nodes) {
    const frame = node.callFrame;
    const key = `${frame.functionName}\0${frame.url}\0${frame.lineNumber}`;
    let functionId = functionIds.get(key);
    if (functionId === undefined) {
      functionId = functions.length + 1;
      functionIds.set(key, functionId);
      const name = text(frame.functionName || "(anonymous)");
      const line = Math.max(0, frame.lineNumber + 1);
      functions.push(
        new PprofFunction({ id: functionId, name, systemName: name, filename: text(frame.url), startLine: line }),
      );
    }
    locations.push(
      new Location({ id: node.id, line: [new Line({ functionId, line: Math.max(0, frame.lineNumber + 1) })] }),
    );
    for (const child of node.children ?? []) parents.set(child, node.id);
  }
  const totals = new Map<number, { count: number; nanos: number }>();
  cpu.samples?.forEach((id, index) => {
    const total = totals.get(id) ?? { count: 0, nanos: 0 };
    total.count++;
    total.nanos += Math.max(0, cpu.timeDeltas?.[index] ?? 0) * 1000;
    totals.set(id, total);
  });
  const sample = [...totals].map(([id, total]) =>
    new Sample({ locationId: stackOf(id, parents), value: [total.count, total.nanos] })
  );
  return new Profile({
    sampleType: [
      new ValueType({ type: text("samples"), unit: text("count") }),
      new ValueType({ type: text("cpu"), unit: text("nanoseconds") }),
    ],
    sample,
    location: locations,
    function: functions,
    stringTable,
    timeNanos: BigInt(Math.round(Date.now())) * 1_000_000n,
    durationNanos: Math.max(0, cpu.endTime - cpu.startTime) * 1000,
    periodType: new ValueType({ type: text("cpu"), unit: text("nanoseconds") }),
    period: cpu.samples?.length ? Math.round(Math.max(0, cpu.endTime - cpu.startTime) * 1000 / cpu.samples.length) : 0,
  });
}

/** Location ids from the leaf up; the profile's `(root)` node carries nothing and is left out. */
function stackOf(leaf: number, parents: ReadonlyMap<number, number>): number[] {
  const stack: number[] = [];
  for (let id: number | undefined = leaf; id !== undefined && parents.has(id); id = parents.get(id)) stack.push(id);
  return stack.length > 0 ? stack : [leaf];
}

function post(session: Session, method: string, params?: object): Promise<unknown> {
  return new Promise((resolve, reject) => {
    session.post(
      method,
      params ?? {},
      (error, result) => error ? reject(new Error(`${method} failed: ${error.message}`)) : resolve(result),
    );
  });
}

function sleep(milliseconds: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      clearTimeout(timer);
      signal?.removeEventListener("abort", done);
      resolve();
    };
    const timer = setTimeout(done, milliseconds);
    if (signal?.aborted) done();
    else signal?.addEventListener("abort", done);
  });
}

async function gzip(bytes: Uint8Array): Promise<Uint8Array<ArrayBuffer>> {
  const stream = new Blob([new Uint8Array(bytes)]).stream().pipeThrough(new CompressionStream("gzip"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}
