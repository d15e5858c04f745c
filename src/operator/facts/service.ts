import { canonicalAddresses } from "./addresses.ts";
import { type Json, keyOf, metaOf, object, objects, string, strings } from "./json.ts";

/** What is kept of a Service. */
export interface ServiceFacts {
  readonly key: string;
  readonly uid: string;
  readonly namespace: string;
  readonly name: string;
  readonly created: number;
  /** It has no address of its own: only names for its backends. */
  readonly headless: boolean;
  readonly addresses: readonly string[];
}

/** Facts of a Service: its ClusterIPs of both families, external and load balancer addresses. */
export function serviceFacts(service: Json, onBad: (text: string) => void): ServiceFacts | undefined {
  const meta = metaOf(service, true);
  if (meta === undefined) return undefined;
  const spec = object(service, "spec");
  const clusterIPs = [string(spec, "clusterIP"), ...strings(spec, "clusterIPs")];
  const ingress = objects(object(object(service, "status"), "loadBalancer"), "ingress").map((item) =>
    string(item, "ip")
  );
  // The clusterIP of an ExternalName service is whatever was there before.
  const external = string(spec, "type") === "ExternalName";
  return {
    ...meta,
    key: keyOf(meta),
    headless: external || clusterIPs.every((ip) => ip === "" || ip === "None"),
    addresses: external ? [] : canonicalAddresses([...clusterIPs, ...strings(spec, "externalIPs"), ...ingress], onBad),
  };
}
