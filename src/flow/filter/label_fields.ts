import type { FlowFilter } from "../../../proto/gen/flow/flow_pb.ts";
import { within } from "./error.ts";
import { parseLabels } from "./label.ts";
import type { Budget } from "./limits.ts";
import { bothSides, byIdentity, endpointOf, type Predicate } from "./predicate.ts";
import { compileSelector } from "./selector.ts";

type LabelsTest = (labels: readonly string[]) => boolean;

function compile(kind: string, selectors: readonly string[]): LabelsTest {
  const tests = within(`invalid ${kind} label filter`, () => [...new Set(selectors)].map(compileSelector));
  return (labels) => {
    const parsed = parseLabels(labels);
    return tests.some((test) => test(parsed));
  };
}

/** source_label, destination_label, node_labels: label selectors, of which one must select. */
export function compileLabels(filter: FlowFilter, budget: Budget): Predicate[] {
  const predicates = bothSides(filter.sourceLabel, filter.destinationLabel, (values, side): Predicate => {
    const test = compile(side, values);
    return {
      flow: (flow) => test(endpointOf(flow, side)?.labels ?? []),
      record: byIdentity(side, budget, (identity) => test(identity.labels)),
    };
  });
  if (filter.nodeLabels.length > 0) {
    const test = compile("node", filter.nodeLabels);
    // Records carry no node labels, but a selector like `!role` selects a flow without any.
    predicates.push({ flow: (flow) => test(flow.nodeLabels), record: test([]) });
  }
  return predicates;
}
