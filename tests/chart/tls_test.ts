/** Certificates that Helm and cert-manager make for the chart: for whom, for how long, and what an upgrade keeps. */
import assert from "node:assert/strict";
import { X509Certificate } from "node:crypto";
import { tlsServerName } from "../../src/hubble/peer.ts";
import { run } from "../../scripts/process.ts";
import { program, testWith } from "../lab/need.ts";
import {
  CHART,
  container,
  environment,
  find,
  helmBuilt,
  type Manifest,
  NAMESPACE,
  render,
  type Values,
} from "./chart.ts";
import { type KubeStub, startKubeStub } from "./kube_stub.ts";
import { EVERYTHING } from "./value_sets.ts";

const DAY = 86_400_000;
const LEAVES = ["agent", "operator", "relay", "client"] as const;

const secretsOf = (manifests: readonly Manifest[]) => manifests.filter(({ kind }) => kind === "Secret");

function pem(secret: Manifest, key: string): string {
  return atob(secret["data"][key]);
}

const certificate = (manifests: readonly Manifest[], of: string) =>
  new X509Certificate(pem(find(manifests, "Secret", `retina-${of}`), "tls.crt"));

/** Whether openssl accepts the certificate, by the authority beside it, for a host or a purpose. */
async function isGood(manifests: readonly Manifest[], of: string, options: readonly string[]): Promise<boolean> {
  const secret = find(manifests, "Secret", `retina-${of}-tls`);
  const folder = await Deno.makeTempDir();
  await Deno.writeTextFile(`${folder}/ca.crt`, pem(secret, "ca.crt"));
  const args = ["verify", "-CAfile", `${folder}/ca.crt`, ...options];
  const { code } = await run("openssl", args, { input: pem(secret, "tls.crt"), allowFailure: true });
  await Deno.remove(folder, { recursive: true });
  return code === 0;
}

/** Whether clients that ask for this name accept the certificate. */
const isFor = (manifests: readonly Manifest[], of: string, host: string) =>
  isGood(manifests, of, ["-purpose", "sslserver", "-verify_hostname", host]);

/** Whole days from now. */
const daysLeft = (one: X509Certificate) => Math.round((Date.parse(one.validTo) - Date.now()) / DAY);

testWith(
  [helmBuilt, program("openssl")],
  "Helm's certificates are of one authority, which is in none of the pods",
  async () => {
    const manifests = await render(EVERYTHING);
    const authority = certificate(manifests, "ca");
    assert.ok(authority.ca);
    assert.equal(daysLeft(authority), 3650);
    for (const of of LEAVES) {
      const leaf = certificate(manifests, `${of}-tls`);
      assert.ok(leaf.verify(authority.publicKey), of);
      assert.equal(leaf.ca, false);
      assert.equal(daysLeft(leaf), 1095);
      for (const purpose of ["sslserver", "sslclient"]) {
        assert.ok(
          await isGood(manifests, of, ["-purpose", purpose]),
          purpose,
        );
      }
      const secret = find(manifests, "Secret", `retina-${of}-tls`);
      assert.equal(secret["type"], "kubernetes.io/tls");
      assert.equal(pem(secret, "ca.crt"), pem(find(manifests, "Secret", "retina-ca"), "tls.crt"));
    }
    const mounted = manifests.flatMap(({ spec }) => spec?.template?.spec.volumes ?? [])
      .flatMap((volume: { secret?: { secretName: string } }) => volume.secret?.secretName ?? []);
    assert.deepEqual(mounted.toSorted(), LEAVES.map((of) => `retina-${of}-tls`).toSorted());
  },
);

testWith([helmBuilt, program("openssl")], "certificates carry the names that their clients ask for", async () => {
  for (const values of [{}, { clusterName: "prod.east-1", fullnameOverride: "retina" }] as Values[]) {
    const manifests = await render({ ...EVERYTHING, ...values });
    const cluster = values["clusterName"] as string | undefined;
    for (const node of ["node-1", "ip-10-0-0-1.eu.internal", "hubble-peer"]) {
      assert.ok(await isFor(manifests, "agent", tlsServerName(node, cluster)), tlsServerName(node, cluster));
    }
    assert.equal(await isFor(manifests, "agent", tlsServerName("node-1", "another")), false);
    const { args } = container(find(manifests, "DaemonSet", "retina-agent"), "agent");
    const operator = args.find((arg: string) => arg.startsWith("--operator-server-name=")).split("=")[1];
    const ui = environment(container(find(manifests, "Deployment", "hubble-ui"), "backend"));
    assert.ok(await isFor(manifests, "relay", ui.get("TLS_RELAY_SERVER_NAME")!));
    // Nobody else's key is good for answering in the operator's place.
    for (const of of LEAVES) assert.equal(await isFor(manifests, of, operator), of === "operator", of);
  }
});

testWith([helmBuilt], "certificates end when the values say, and never after their authority", async () => {
  const manifests = await render({ tls: { helm: { days: 90, caDays: 30, renewBeforeDays: 10 } } });
  assert.equal(daysLeft(certificate(manifests, "ca")), 30);
  assert.equal(daysLeft(certificate(manifests, "agent-tls")), 30);
});

/** Renders for the stub's cluster, and installs the Secrets there. */
async function upgrade(stub: KubeStub, values: Values = {}): Promise<Manifest[]> {
  const manifests = await render(values, { args: ["--dry-run=server"], env: { KUBECONFIG: stub.kubeconfig } });
  for (const secret of secretsOf(manifests)) stub.secrets.set(`${NAMESPACE}/${secret.metadata.name}`, secret);
  return manifests;
}

testWith(
  [helmBuilt, program("openssl")],
  "an upgrade keeps certificates that are good, and makes the others anew",
  async (t) => {
    await using stub = await startKubeStub();
    const first = await upgrade(stub);
    const data = (manifests: readonly Manifest[], name: string) => find(manifests, "Secret", `retina-${name}`)["data"];

    await t.step("nothing changed: every byte stays", async () => {
      const second = await upgrade(stub);
      assert.deepEqual(secretsOf(second), secretsOf(first));
    });

    await t.step("another cluster name: what carries it is made anew, by the same authority", async () => {
      const renamed = await upgrade(stub, { clusterName: "east" });
      for (const same of ["ca", "operator-tls", "relay-tls"]) assert.deepEqual(data(renamed, same), data(first, same));
      for (const other of ["agent-tls", "client-tls"]) {
        assert.notEqual(data(renamed, other)["tls.crt"], data(first, other)["tls.crt"]);
        assert.ok(certificate(renamed, other).verify(certificate(first, "ca").publicKey));
      }
      assert.ok(await isFor(renamed, "agent", tlsServerName("n", "east")));
      await upgrade(stub);
    });

    const expireSoon = (name: string) => {
      const secret = structuredClone(stub.secrets.get(`${NAMESPACE}/retina-${name}`)!) as {
        metadata: { annotations: Record<string, string> };
      };
      secret.metadata.annotations["retina/expires"] = String(Math.floor(Date.now() / 1000) + 30 * 86_400);
      stub.secrets.set(`${NAMESPACE}/retina-${name}`, secret as unknown as Manifest);
    };

    await t.step("a month left: that certificate is renewed, the others stay", async () => {
      const before = await upgrade(stub);
      expireSoon("operator-tls");
      const renewed = await upgrade(stub);
      assert.notEqual(data(renewed, "operator-tls")["tls.crt"], data(before, "operator-tls")["tls.crt"]);
      assert.equal(daysLeft(certificate(renewed, "operator-tls")), 1095);
      for (const same of ["ca", "agent-tls", "relay-tls", "client-tls"]) {
        assert.deepEqual(data(renewed, same), data(before, same), same);
      }
    });

    await t.step("a month left for the authority: everything is made anew", async () => {
      const before = await upgrade(stub);
      expireSoon("ca");
      const renewed = await upgrade(stub);
      for (const of of LEAVES) {
        assert.notEqual(data(renewed, `${of}-tls`)["tls.crt"], data(before, `${of}-tls`)["tls.crt"]);
        assert.ok(certificate(renewed, `${of}-tls`).verify(certificate(renewed, "ca").publicKey));
      }
    });

    await t.step("a Secret without a key is made anew", async () => {
      const before = await upgrade(stub);
      const broken = structuredClone(stub.secrets.get(`${NAMESPACE}/retina-agent-tls`)!);
      delete broken["data"]["tls.key"];
      stub.secrets.set(`${NAMESPACE}/retina-agent-tls`, broken);
      const healed = await upgrade(stub);
      assert.notEqual(data(healed, "agent-tls")["tls.crt"], data(before, "agent-tls")["tls.crt"]);
      assert.ok(data(healed, "agent-tls")["tls.key"]);
    });
  },
);

testWith(
  [helmBuilt],
  "cert-manager is asked for the same names, by an authority of the chart or a given one",
  async () => {
    const own = await render({ ...EVERYTHING, tls: { mode: "certManager" } });
    const made = new Map(
      own.filter(({ kind }) => kind === "Certificate").map((one) => [one.metadata.name, one["spec"]]),
    );
    assert.deepEqual([...made.keys()].toSorted(), ["retina-ca", ...LEAVES.map((of) => `retina-${of}-tls`)].toSorted());
    assert.deepEqual(secretsOf(own), []);
    for (const of of LEAVES) {
      const spec = made.get(`retina-${of}-tls`);
      assert.equal(spec.secretName, `retina-${of}-tls`);
      assert.deepEqual(spec.issuerRef, { group: "cert-manager.io", kind: "Issuer", name: "retina-ca" });
      assert.deepEqual(spec.usages, ["digital signature", "server auth", "client auth"]);
      assert.deepEqual([spec.duration, spec.renewBefore], ["2160h", "720h"]);
      const names = find(await render(EVERYTHING), "Secret", `retina-${of}-tls`).metadata.annotations!["retina/names"];
      assert.deepEqual(spec.dnsNames, names.split(","));
    }
    assert.equal(made.get("retina-ca").isCA, true);
    assert.deepEqual(find(own, "Issuer", "retina-ca")["spec"], {
      ca: { secretName: made.get("retina-ca").secretName },
    });
    assert.deepEqual(find(own, "Issuer", "retina-ca-self-signed")["spec"], { selfSigned: {} });

    const issuerRef = { group: "example.org", kind: "ClusterIssuer", name: "company" };
    const given = await render({ tls: { mode: "certManager", certManager: { issuerRef } } });
    assert.deepEqual(given.filter(({ kind }) => kind === "Issuer"), []);
    for (const { spec } of given.filter(({ kind }) => kind === "Certificate")) {
      assert.deepEqual(
        spec.issuerRef,
        issuerRef,
      );
    }
  },
);

testWith([helmBuilt], "given Secrets are mounted, and nothing is made", async () => {
  const secret = { agent: "a", operator: "b", relay: "c", client: "d" };
  const manifests = await render({ ...EVERYTHING, tls: { mode: "secret", secret } });
  assert.deepEqual(manifests.filter(({ kind }) => ["Secret", "Certificate", "Issuer"].includes(kind)), []);
  const mounted = (kind: string, name: string) =>
    find(manifests, kind, name)["spec"].template.spec.volumes.find((one: { name: string }) => one.name === "tls").secret
      .secretName;
  assert.deepEqual([
    mounted("DaemonSet", "retina-agent"),
    mounted("Deployment", "retina-operator"),
    mounted("Deployment", "hubble-relay"),
    mounted("Deployment", "hubble-ui"),
  ], ["a", "b", "c", "d"]);
});

Deno.test("no template decides about TLS but by the helper that refuses unknown modes", () => {
  const found: string[] = [];
  const walk = (folder: string) => {
    for (const { name, isDirectory } of Deno.readDirSync(folder)) {
      if (isDirectory) walk(`${folder}/${name}`);
      else if (/\.Values\.tls\.mode/.test(Deno.readTextFileSync(`${folder}/${name}`))) found.push(name);
    }
  };
  walk(`${CHART}/templates`);
  assert.deepEqual(found, ["NOTES.txt"]);
});
