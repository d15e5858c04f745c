import type { FlowFilter } from "../../../proto/gen/flow/flow_pb.ts";
import { within } from "./error.ts";
import type { Budget } from "./limits.ts";
import { compileDomainPatterns, compileNodePatterns } from "./pattern.ts";
import { bothSides, byIdentity, type Predicate } from "./predicate.ts";
import { compileRegexp } from "./regexp.ts";

/** source_fqdn, destination_fqdn, dns_query. */
export function compileDomains(filter: FlowFilter, budget: Budget): Predicate[] {
  const predicates = bothSides(filter.sourceFqdn, filter.destinationFqdn, (values, side): Predicate => {
    const test = compileDomainPatterns(values);
    return {
      flow: (flow) => (side === "source" ? flow.sourceNames : flow.destinationNames).some(test),
      record: byIdentity(side, budget, (identity) => identity.names.some(test)),
    };
  });
  if (filter.dnsQuery.length > 0) {
    const tests = within(
      "invalid DNS query filter: failed to compile regexp",
      () => filter.dnsQuery.map((pattern) => compileRegexp(pattern, budget)),
    );
    predicates.push({
      flow: ({ l7 }) => {
        if (l7?.record.case !== "dns") return false;
        const { query } = l7.record.value;
        return tests.some((test) => test(query));
      },
      record: false,
    });
  }
  return predicates;
}

/** node_name. */
export function compileNodeNames(filter: FlowFilter): Predicate[] {
  if (filter.nodeName.length === 0) return [];
  const test = compileNodePatterns(filter.nodeName);
  let known = "", answer = test(known);
  return [{
    flow: (flow) => test(flow.nodeName),
    // All records of a store are of one node.
    record: ({ context }) => {
      if (context.nodeName !== known) {
        known = context.nodeName;
        answer = test(known);
      }
      return answer;
    },
  }];
}
