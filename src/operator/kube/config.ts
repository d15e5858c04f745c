import { EnvironmentError } from "../../cli/errors.ts";
import { ConfiguredApi, type KubeApi } from "./api.ts";

/** Where Kubernetes mounts a pod's credentials. */
const SERVICE_ACCOUNT_TOKEN = "/var/run/secrets/kubernetes.io/serviceaccount/token";
/** What the client assumes when it finds no configuration. */
const FALLBACK_SERVER = "http://localhost:8080";

/**
 * Finds the cluster: `kubeconfig` if given, else the pod's own service account, else KUBECONFIG, else `~/.kube/config`.
 * Imports the Kubernetes client, which costs 70 MB of memory.
 * @throws EnvironmentError when there is no configuration, or none that can be read.
 */
export async function findCluster(kubeconfig?: string): Promise<KubeApi> {
  const { KubeConfig } = await import("@kubernetes/client-node");
  const load = () => {
    const config = new KubeConfig();
    try {
      if (kubeconfig !== undefined) config.loadFromFile(kubeconfig);
      else if (Deno.env.get("KUBERNETES_SERVICE_HOST") && exists(SERVICE_ACCOUNT_TOKEN)) config.loadFromCluster();
      else config.loadFromDefault();
    } catch (cause) {
      throw new EnvironmentError(`Cannot read the Kubernetes configuration${kubeconfig ? ` ${kubeconfig}` : ""}`, {
        cause,
      });
    }
    const server = config.getCurrentCluster()?.server;
    if (server === undefined || server === FALLBACK_SERVER) {
      throw new EnvironmentError(
        kubeconfig === undefined
          ? "Cannot find a Kubernetes cluster: this is no pod, KUBECONFIG is not set and ~/.kube/config does not exist; use --kubeconfig"
          : `Cannot use ${kubeconfig}: its current context names no cluster`,
      );
    }
    allowPlainText(config);
    return Promise.resolve(config);
  };
  return await ConfiguredApi.create(load);
}

/** The client refuses `http://` servers (kubectl proxy, tests) unless the configuration gives up verification, which there is none of. */
function allowPlainText(config: { clusters: readonly { server: string; skipTLSVerify: boolean }[] }): void {
  for (const cluster of config.clusters) {
    if (cluster.server.startsWith("http:")) Object.assign(cluster, { skipTLSVerify: true });
  }
}

function exists(path: string): boolean {
  try {
    Deno.statSync(path);
    return true;
  } catch {
    return false;
  }
}
