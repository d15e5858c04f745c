import type { FlowFilter, Workload } from "../../../proto/gen/flow/flow_pb.ts";
import { FilterError, within } from "./error.ts";
import type { Budget } from "./limits.ts";
import { bothSides, byIdentity, endpointOf, type Predicate } from "./predicate.ts";

/** source_identity, destination_identity: an absent endpoint has no identity, a present one may have 0. */
export function compileIdentities(filter: FlowFilter, budget: Budget): Predicate[] {
  return bothSides(filter.sourceIdentity, filter.destinationIdentity, (values, side) => {
    const numbers = new Set(values);
    return {
      flow: (flow) => {
        const endpoint = endpointOf(flow, side);
        return endpoint !== undefined && numbers.has(endpoint.identity);
      },
      record: byIdentity(side, budget, (identity) => numbers.has(identity.numeric)),
    };
  });
}

/** A test of a namespace and a name, given as `namespace/prefix`. */
type NameTest = (namespace: string, name: string) => boolean;

/** `name` is in namespace default, `namespace/` is anything in it, `/name` is in any; a third part does not count. */
function compileNames(values: readonly string[]): NameTest {
  const names = values.map((value) => {
    if (value === "") throw new FilterError("invalid filter, name must not be empty");
    const [first, second] = value.split("/");
    return second === undefined ? { namespace: "default", prefix: first } : { namespace: first, prefix: second };
  });
  return (namespace, name) => {
    if (namespace === "" && name === "") return false;
    return names.some((wanted) =>
      (wanted.namespace === "" || wanted.namespace === namespace) && name.startsWith(wanted.prefix)
    );
  };
}

/** source_pod, destination_pod. */
export function compilePods(filter: FlowFilter, budget: Budget): Predicate[] {
  return bothSides(filter.sourcePod, filter.destinationPod, (values, side) => {
    const test = compileNames(values);
    return {
      flow: (flow) => {
        const endpoint = endpointOf(flow, side);
        return test(endpoint?.namespace ?? "", endpoint?.podName ?? "");
      },
      record: byIdentity(side, budget, (identity) => test(identity.namespace, identity.pod)),
    };
  });
}

/** source_service, destination_service. */
export function compileServices(filter: FlowFilter, budget: Budget): Predicate[] {
  return bothSides(filter.sourceService, filter.destinationService, (values, side) => {
    const test = within(`invalid ${side} service filter`, () => compileNames(values));
    return {
      flow: (flow) => {
        const service = side === "source" ? flow.sourceService : flow.destinationService;
        return test(service?.namespace ?? "", service?.name ?? "");
      },
      // The flow of an address that is no service's has no service: neither name nor namespace.
      record: byIdentity(side, budget, ({ service, namespace }) => service !== "" && test(namespace, service)),
    };
  });
}

function isWorkload(wanted: Workload, found: { readonly name: string; readonly kind: string }): boolean {
  return (wanted.name === "" || wanted.name === found.name) && (wanted.kind === "" || wanted.kind === found.kind);
}

/** source_workload, destination_workload: an empty name or kind is any. */
export function compileWorkloads(filter: FlowFilter, budget: Budget): Predicate[] {
  return bothSides(filter.sourceWorkload, filter.destinationWorkload, (values, side) => {
    const test = (workloads: readonly { readonly name: string; readonly kind: string }[]) =>
      workloads.some((found) => values.some((wanted) => isWorkload(wanted, found)));
    return {
      flow: (flow) => test(endpointOf(flow, side)?.workloads ?? []),
      record: byIdentity(side, budget, (identity) => test(identity.workloads)),
    };
  });
}

/** source_cluster_name, destination_cluster_name: whole names, no patterns. */
export function compileClusters(filter: FlowFilter, budget: Budget): Predicate[] {
  return bothSides(filter.sourceClusterName, filter.destinationClusterName, (values, side) => {
    if (values.includes("")) throw new FilterError("invalid filter, name must not be empty");
    const names = new Set(values);
    return {
      flow: (flow) => names.has(endpointOf(flow, side)?.clusterName ?? ""),
      record: byIdentity(side, budget, (identity) => names.has(identity.cluster)),
    };
  });
}
