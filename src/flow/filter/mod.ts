import type { Flow, FlowFilter } from "../../../proto/gen/flow/flow_pb.ts";
import { SlotKind } from "../record.ts";
import { recordToFlow } from "../to_flow.ts";
import type { FlowView } from "../view.ts";
import { loadCel } from "./cel_loader.ts";
import { anyFlow, anyRecord, type CompiledFilter, compileFilter, mergeFilters } from "./compile.ts";
import { FilterError } from "./error.ts";
import { LIMITS, makeBudget } from "./limits.ts";

export { FilterError } from "./error.ts";
export { LIMITS } from "./limits.ts";

/** The filters of one request, compiled. It keeps what it learns about identities, so use one for a whole stream. */
export interface FlowMatcher {
  /** Whether it lets every flow through, so that nobody needs to ask. */
  readonly matchesAll: boolean;
  /** Whether the flow under a view passes. A lost event always does: it says something about all flows. */
  matches(view: FlowView): boolean;
  /** Whether a whole message passes; the same answer as {@link matches} gives about a record of the same flow. */
  matchesFlow(flow: Flow): boolean;
}

const MATCH_ALL: FlowMatcher = { matchesAll: true, matches: () => true, matchesFlow: () => true };

/** All filters, several of one field as one. Only the first mistake in the order of the request is worth telling. */
function compileAll(whitelist: readonly FlowFilter[], blacklist: readonly FlowFilter[]): CompiledFilter[][] {
  const budget = makeBudget();
  try {
    return [whitelist, blacklist].map((list) => mergeFilters(list).map((filter) => compileFilter(filter, budget)));
  } catch (error) {
    const fresh = makeBudget();
    for (const filter of [...whitelist, ...blacklist]) compileFilter(filter, fresh);
    throw error;
  }
}

function matchesEverything({ flow }: CompiledFilter): boolean {
  return flow.length === 0;
}

/** Loads what is needed to compile these filters and is not loaded yet: 30 ms for the first expression. */
export async function prepareFilters(
  whitelist: readonly FlowFilter[],
  blacklist: readonly FlowFilter[],
): Promise<void> {
  await loadCel([...whitelist, ...blacklist]);
}

/**
 * Compiles the filters of a request, which {@link prepareFilters} was told of: a flow passes when one of the whitelist matches, or there is none, and none of the
 * blacklist does. All fields of one filter must match; the values of one field are alternatives. The meaning of each
 * field is Hubble 1.19's, see `docs/filters.md`.
 *
 * @throws {FilterError} with Hubble's message when a filter is wrong, or ours when one of {@link LIMITS} is passed.
 */
export function compileFilters(whitelist: readonly FlowFilter[], blacklist: readonly FlowFilter[]): FlowMatcher {
  const count = whitelist.length + blacklist.length;
  if (count > LIMITS.filters) throw new FilterError(`${count} filters: at most ${LIMITS.filters} are matched at once`);
  const [allowed, denied] = compileAll(whitelist, blacklist);
  const allowsAll = allowed.length === 0 || allowed.some(matchesEverything);
  if (allowsAll && denied.length === 0) return MATCH_ALL;

  const matchesFlow = (flow: Flow) => (allowsAll || anyFlow(allowed, flow)) && !anyFlow(denied, flow);
  const matchesRecord = (view: FlowView) =>
    (allowsAll || anyRecord(allowed, view, recordToFlow)) && !anyRecord(denied, view, recordToFlow);
  return {
    matchesAll: false,
    matchesFlow,
    matches(view) {
      switch (view.kind) {
        case SlotKind.RECORD:
          return matchesRecord(view);
        case SlotKind.MESSAGE:
          return matchesFlow(view.message());
        default:
          return view.kind === SlotKind.LOST;
      }
    },
  };
}
