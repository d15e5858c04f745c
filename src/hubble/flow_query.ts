/** A GetFlowsRequest, checked and compiled. */
import type { Timestamp } from "@bufbuild/protobuf/wkt";
import { Code, ConnectError } from "@connectrpc/connect";
import type { GetFlowsRequest } from "../../proto/gen/observer/observer_pb.ts";
import { compileFieldMask, type FieldMask } from "../flow/field_mask.ts";
import type { FlowMatcher } from "../flow/filter/mod.ts";

/** A wall-clock time: whole seconds since 1970 and the rest in nanoseconds. */
export interface Instant {
  readonly seconds: number;
  readonly nanos: number;
}

/** Which events of the store to send, and from where to where. */
export interface FlowQuery {
  readonly matcher: Pick<FlowMatcher, "matchesAll" | "matches">;
  /** Number of matching flows; Infinity for all. */
  readonly limit: number;
  /** Count from the oldest flow, not from the newest. */
  readonly first: boolean;
  /** Go on with new flows; `limit` then only says how far back to begin. */
  readonly follow: boolean;
  readonly since?: Instant;
  readonly until?: Instant;
  /** What of each flow to send; undefined for all of it. */
  readonly mask?: FieldMask;
}

type Matcher = FlowQuery["matcher"];

const MATCH_ALL: Matcher = { matchesAll: true, matches: () => true };

/** The filter engine is loaded with the first request that has a filter: it takes 30 ms then, and a node that nobody looks at does without it. */
async function loadCompiler({ whitelist, blacklist }: GetFlowsRequest): Promise<() => Matcher> {
  if (whitelist.length + blacklist.length === 0) return () => MATCH_ALL;
  const { compileFilters, prepareFilters } = await import("../flow/filter/mod.ts");
  await prepareFilters(whitelist, blacklist);
  return () => compileFilters(whitelist, blacklist);
}

/**
 * Checks a request and compiles its filters.
 * @throws ConnectError INVALID_ARGUMENT for `first` with `follow`, a time out of range, a bad filter or field mask.
 */
export async function flowQuery(request: GetFlowsRequest): Promise<FlowQuery> {
  const range = eventQuery(request);
  const compile = await loadCompiler(request);
  try {
    const matcher = compile();
    const mask = compileFieldMask(request.fieldMask?.paths ?? []);
    return { ...range, matcher, ...(mask && { mask }) };
  } catch (cause) {
    throw ConnectError.from(cause, Code.InvalidArgument);
  }
}

/** What the requests for flows, agent events and debug events have in common. */
export function eventQuery(
  request: {
    number: bigint;
    first: boolean;
    follow: boolean;
    since?: Timestamp | undefined;
    until?: Timestamp | undefined;
  },
): Omit<FlowQuery, "matcher" | "mask"> {
  if (request.first && request.follow) {
    throw new ConnectError("first cannot be specified with follow", Code.InvalidArgument);
  }
  return {
    // --all asks for 2^64 − 1 flows; a double is exact far beyond what any store holds.
    limit: request.number === 0n ? Infinity : Number(request.number),
    first: request.first,
    follow: request.follow,
    ...(request.since && { since: instant("since", request.since) }),
    ...(request.until && { until: instant("until", request.until) }),
  };
}

/** Negative when `seconds` and `nanos` are before `instant`, positive when after, 0 when equal. */
export function compareTime(seconds: number, nanos: number, instant: Instant): number {
  return seconds - instant.seconds || nanos - instant.nanos;
}

/** The years 1 to 9999, in seconds since 1970: the range of google.protobuf.Timestamp. */
const MIN_SECONDS = -62_135_596_800n;
const MAX_SECONDS = 253_402_300_799n;

function instant(name: string, { seconds, nanos }: Timestamp): Instant {
  if (seconds < MIN_SECONDS || seconds > MAX_SECONDS || nanos < 0 || nanos > 999_999_999) {
    throw new ConnectError(
      `Invalid ${name} time: ${seconds} seconds, ${nanos} nanoseconds is not within the years 1 to 9999`,
      Code.InvalidArgument,
    );
  }
  return { seconds: Number(seconds), nanos };
}
