import type { FlowFilter } from "../../../proto/gen/flow/flow_pb.ts";
import type { Budget } from "./limits.ts";
import type { Predicate } from "./predicate.ts";

/** CEL and its type checker take 4 MB, and most requests have no expression: they are loaded with the first that has one. */
let cel: typeof import("./cel.ts") | undefined;

function expressions(filter: FlowFilter): readonly string[] {
  return filter.experimental?.celExpression ?? [];
}

/** Loads what the expressions of these filters need, if there are any. */
export async function loadCel(filters: Iterable<FlowFilter>): Promise<void> {
  if (cel !== undefined) return;
  for (const filter of filters) {
    if (expressions(filter).length > 0) {
      cel = await import("./cel.ts");
      return;
    }
  }
}

/** experimental.cel_expression, see `cel.ts`. {@link loadCel} has to have seen an expression before. */
export function compileCel(filter: FlowFilter, budget: Budget): Predicate[] {
  if (expressions(filter).length === 0) return [];
  if (cel === undefined) {
    throw new Error("Cannot compile a CEL expression that was not prepared: call prepareFilters()");
  }
  return cel.compileCel(filter, budget);
}
