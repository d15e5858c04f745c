import type { Flow, FlowFilter } from "../../../proto/gen/flow/flow_pb.ts";
import { within } from "./error.ts";
import { parseLabels } from "./label.ts";
import type { Budget } from "./limits.ts";
import { byIdentity, type Predicate } from "./predicate.ts";
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
  const predicates: Predicate[] = [];
  if (filter.sourceLabel.length > 0) {
    const test = compile("source", filter.sourceLabel);
    predicates.push({
      flow: (flow: Flow) => test(flow.source?.labels ?? []),
      record: byIdentity("source", budget, (identity) => test(identity.labels)),
    });
  }
  if (filter.destinationLabel.length > 0) {
    const test = compile("destination", filter.destinationLabel);
    predicates.push({
      flow: (flow: Flow) => test(flow.destination?.labels ?? []),
      record: byIdentity("destination", budget, (identity) => test(identity.labels)),
    });
  }
  if (filter.nodeLabels.length > 0) {
    const test = compile("node", filter.nodeLabels);
    // Records carry no node labels, but a selector like `!role` selects a flow without any.
    predicates.push({ flow: (flow: Flow) => test(flow.nodeLabels), record: test([]) });
  }
  return predicates;
}
