/** Names for the hosts of a lab, as an identity file (`--identities`): what an operator would tell in a cluster. */
import { stringify } from "yaml";
import type { Lab } from "./lab.ts";

/** Workload of each pod, in order; further pods are numbered workers. */
const APPS = ["web", "api", "worker"];

/** YAML for {@link Lab}: every pod is one of a Deployment in the namespace `shop`. */
export function identityFile(lab: Lab): string {
  const pods = lab.pods.map((pod, index) => {
    const app = APPS[index] ?? `worker-${index}`;
    return {
      addresses: [pod.ipv4, pod.ipv6],
      namespace: "shop",
      pod: `${app}-0`,
      labels: { app },
      workload: { kind: "Deployment", name: app },
    };
  });
  return stringify({ identities: pods });
}

/** Writes {@link identityFile} to a temporary file; disposal removes it. */
export async function writeIdentityFile(lab: Lab): Promise<AsyncDisposable & { readonly path: string }> {
  const path = await Deno.makeTempFile({ prefix: "retina-lab-", suffix: ".yaml" });
  await Deno.writeTextFile(path, identityFile(lab));
  return { path, [Symbol.asyncDispose]: () => Deno.remove(path) };
}
