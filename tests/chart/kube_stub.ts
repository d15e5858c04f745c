/** As much of a Kubernetes API server as Helm asks when it renders for a cluster: its version, and Secrets for `lookup`. */
import { kubeconfig } from "../cluster/kubeconfig.ts";
import type { Manifest } from "./chart.ts";

export interface KubeStub extends AsyncDisposable {
  /** KUBECONFIG for it. */
  readonly kubeconfig: string;
  /** Secrets that `lookup` finds, by `namespace/name`. */
  readonly secrets: Map<string, Manifest>;
}

const RESOURCES = {
  kind: "APIResourceList",
  groupVersion: "v1",
  resources: [{ name: "secrets", singularName: "secret", namespaced: true, kind: "Secret", verbs: ["get", "list"] }],
};

const ANSWERS: Readonly<Record<string, unknown>> = {
  "/version": { major: "1", minor: "37", gitVersion: "v1.37.0", platform: "linux/amd64" },
  "/api": { kind: "APIVersions", versions: ["v1"] },
  "/apis": { kind: "APIGroupList", apiVersion: "v1", groups: [] },
  "/api/v1": RESOURCES,
};

const SECRET = /^\/api\/v1\/namespaces\/([^/]+)\/secrets\/([^/]+)$/;

/** Starts one on a port of its own. */
export async function startKubeStub(): Promise<KubeStub> {
  const secrets = new Map<string, Manifest>();
  const server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen: () => {} }, (request) => {
    const { pathname } = new URL(request.url);
    const [, namespace, name] = SECRET.exec(pathname) ?? [];
    const answer = ANSWERS[pathname] ?? secrets.get(`${namespace}/${name}`);
    if (answer !== undefined) return Response.json(answer);
    return Response.json({ kind: "Status", status: "Failure", reason: "NotFound", code: 404, message: pathname }, {
      status: 404,
    });
  });
  const folder = await Deno.makeTempDir({ prefix: "kube-" });
  const path = `${folder}/config`;
  await Deno.writeTextFile(path, kubeconfig({ server: `http://127.0.0.1:${server.addr.port}` }));
  return {
    kubeconfig: path,
    secrets,
    async [Symbol.asyncDispose]() {
      await server.shutdown();
      await Deno.remove(folder, { recursive: true });
    },
  };
}
