/** As much of a Kubernetes API server as Helm asks when it renders for a cluster: its version, and Secrets for `lookup`. */
import type { Manifest } from "./chart.ts";

export interface KubeStub extends AsyncDisposable {
  /** KUBECONFIG for it. */
  readonly kubeconfig: string;
  /** Secrets that `lookup` finds, by `namespace/name`. */
  readonly secrets: Map<string, Manifest>;
  /** Paths that were asked for. */
  readonly requests: readonly string[];
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
  const requests: string[] = [];
  const server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen: () => {} }, (request) => {
    const { pathname } = new URL(request.url);
    requests.push(pathname);
    const [, namespace, name] = SECRET.exec(pathname) ?? [];
    const answer = ANSWERS[pathname] ?? secrets.get(`${namespace}/${name}`);
    if (answer !== undefined) return Response.json(answer);
    return Response.json({ kind: "Status", status: "Failure", reason: "NotFound", code: 404, message: pathname }, {
      status: 404,
    });
  });
  const folder = await Deno.makeTempDir({ prefix: "kube-" });
  const kubeconfig = `${folder}/config`;
  const cluster = { server: `http://127.0.0.1:${server.addr.port}` };
  await Deno.writeTextFile(
    kubeconfig,
    JSON.stringify({
      apiVersion: "v1",
      kind: "Config",
      clusters: [{ name: "stub", cluster }],
      users: [{ name: "stub", user: {} }],
      contexts: [{ name: "stub", context: { cluster: "stub", user: "stub" } }],
      "current-context": "stub",
    }),
  );
  return {
    kubeconfig,
    secrets,
    requests,
    async [Symbol.asyncDispose]() {
      await server.shutdown();
      await Deno.remove(folder, { recursive: true });
    },
  };
}
