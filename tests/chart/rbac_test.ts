/** The operator may do what its code does, and nothing more; the agents may do nothing. */
import assert from "node:assert/strict";
import { RESOURCES } from "../../src/operator/kube/resources.ts";
import { LeaderElector } from "../../src/operator/leader.ts";
import type { ApiRequest, KubeApi } from "../../src/operator/kube/api.ts";
import { ApiError } from "../../src/operator/kube/api.ts";
import { testWith } from "../lab/need.ts";
import { container, find, helmBuilt, type Manifest, render } from "./chart.ts";
import { EVERYTHING } from "./value_sets.ts";

interface Rule {
  readonly apiGroups: readonly string[];
  readonly resources: readonly string[];
  readonly resourceNames?: readonly string[];
  readonly verbs: readonly string[];
}

/** Every single permission as `group/resource[/name] verb`. */
function permissions(rules: readonly Rule[]): string[] {
  return rules.flatMap(({ apiGroups, resources, resourceNames = [undefined], verbs }) =>
    apiGroups.flatMap((group) =>
      resources.flatMap((resource) =>
        resourceNames.flatMap((name) => verbs.map((verb) => `${group}/${resource}${name ? `/${name}` : ""} ${verb}`))
      )
    )
  ).toSorted();
}

/** The group and the resource of a path of the API. */
function resourceOf(path: string): string {
  const [, group, resource] = /^\/(?:api\/v1|apis\/([^/]+)\/v1)\/(\w+)$/.exec(path) ?? assert.fail(path);
  return `${group ?? ""}/${resource}`;
}

testWith([helmBuilt], "the ClusterRole allows to list and watch what resources.ts has, and nothing else", async () => {
  const { rules } = find(await render(), "ClusterRole", "retina-operator");
  const needed = RESOURCES.flatMap(({ path }) => ["list", "watch"].map((verb) => `${resourceOf(path)} ${verb}`));
  assert.deepEqual(permissions(rules), needed.toSorted());
});

/** What an elector asks of the API: of one that makes the Lease, and of one that finds it. */
async function leaseRequests(name: string): Promise<Set<string>> {
  const seen = new Set<string>();
  let lease: unknown;
  const api: KubeApi = {
    server: "test",
    namespace: "",
    open: () =>
      Promise.resolve({
        send({ method = "GET", path, body }: ApiRequest) {
          const match = /^\/apis\/([^/]+)\/v1\/namespaces\/ours\/(\w+)(?:\/(.+))?$/.exec(path);
          assert.ok(match !== null, path);
          const verb = { GET: "get", POST: "create", PUT: "update" }[method];
          seen.add(`${match[1]}/${match[2]}${match[3] === undefined ? "" : `/${match[3]}`} ${verb}`);
          if (method === "GET" && lease === undefined) return Promise.reject(new ApiError(404, "not found"));
          if (body !== undefined) lease = body;
          const text = JSON.stringify(lease);
          return Promise.resolve({ chunks: (async function* () {})(), text: () => Promise.resolve(text) });
        },
        close() {},
      }),
  };
  for (let round = 0; round < 2; round++) {
    const { promise: leading, resolve } = Promise.withResolvers<void>();
    const elector = new LeaderElector({
      ...{ api, namespace: "ours", name, identity: `replica-${round}`, report: () => {} },
      onChange: (leads) => leads && resolve(),
    });
    elector.start();
    await leading;
    await elector.stop(); // gives the Lease back
  }
  return seen;
}

testWith([helmBuilt], "the Role allows what the election asks for, of its own Lease alone", async () => {
  for (const fullnameOverride of ["retina", "watch"]) {
    const manifests = await render({ fullnameOverride });
    const name = `${fullnameOverride}-operator`;
    const { args } = container(find(manifests, "Deployment", name), "operator");
    assert.ok(args.includes(`--lease-name=${name}`));
    const { rules } = find(manifests, "Role", name);
    assert.deepEqual(permissions(rules), [...await leaseRequests(name)].toSorted());
  }
});

testWith([helmBuilt], "roles are bound to the accounts that pods run with, and no others exist", async () => {
  const manifests = await render(EVERYTHING);
  const roles = manifests.filter(({ kind }) => kind === "ClusterRole" || kind === "Role");
  const bindings = manifests.filter(({ kind }) => kind.endsWith("RoleBinding"));
  assert.deepEqual(
    bindings.map(({ roleRef }) => `${roleRef.kind} ${roleRef.name}`).toSorted(),
    roles.map(({ kind, metadata }) => `${kind} ${metadata.name}`).toSorted(),
  );
  const account = (one: Manifest) => one["spec"].template.spec.serviceAccountName;
  for (const { subjects } of bindings) {
    assert.equal(subjects.length, 1);
    find(manifests, "ServiceAccount", subjects[0].name);
    assert.notEqual(subjects[0].name, account(find(manifests, "DaemonSet", "retina-agent")));
  }
  // What Hubble UI's backend watches: the namespaces of its first page.
  assert.deepEqual(permissions(find(manifests, "ClusterRole", "retina-hubble-ui")["rules"]), [
    "/namespaces list",
    "/namespaces watch",
  ]);
});
