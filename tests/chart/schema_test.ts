/** The schema of the values: what it refuses, and that it leaves no gap. */
import assert from "node:assert/strict";
import { testWith } from "../lab/need.ts";
import { CHART, helmBuilt, refusal, render, type Values } from "./chart.ts";

interface Schema {
  readonly type?: string;
  readonly required?: readonly string[];
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly additionalProperties?: boolean | Schema;
  readonly $ref?: string;
  readonly definitions?: Readonly<Record<string, Schema>>;
}

const schema: Schema = JSON.parse(Deno.readTextFileSync(`${CHART}/values.schema.json`));

/** Refused values, and what the message has to name. */
const BAD: readonly (readonly [values: Values, message: RegExp])[] = [
  [{ tls: { mode: "off" } }, /'\/tls\/mode': value must be one of 'helm', 'certManager', 'secret', 'plaintext'/],
  [{ tls: { mode: "" } }, /'\/tls\/mode': value must be one of/],
  [{ tls: { mode: false } }, /'\/tls\/mode': value must be one of/],
  [{ tls: { mode: null } }, /'\/tls': missing property 'mode'/],
  [{ tls: { mode: ["plaintext"] } }, /'\/tls\/mode'/],
  [{ tls: null }, /missing property 'tls'/],
  [{ tls: {}, agent: { tls: false } }, /'\/agent': additional properties 'tls' not allowed/],
  [{ tls: { enabled: false } }, /'\/tls': additional properties 'enabled' not allowed/],
  [{ tls: { mode: "secret" } }, /'\/tls\/secret\/agent': minLength/],
  [{ tls: { mode: "secret", secret: { agent: "a" } } }, /'\/tls\/secret\/operator': minLength/],
  [{ tls: { mode: "secret", secret: { agent: "a", operator: "b" } } }, /'\/tls\/secret\/relay': minLength/],
  [
    { tls: { mode: "secret", secret: { agent: "a", operator: "b", relay: "c" } }, hubble: { ui: { enabled: true } } },
    /'\/tls\/secret\/client': minLength/,
  ],
  [{ tls: { helm: { days: 0 } } }, /'\/tls\/helm\/days': minimum/],
  [{ tls: { certManager: { duration: "90 days" } } }, /'\/tls\/certManager\/duration': .*does not match pattern/],
  [{ agent: { extraArgs: ["--operator-addr=http://elsewhere:9090"] } }, /'\/agent\/extraArgs\/0': .*does not match/],
  [{ agent: { extraArgs: ["--tls-cert-file="] } }, /'\/agent\/extraArgs\/0'/],
  [{ agent: { extraArgs: ["--hubble-socket=/run/x"] } }, /'\/agent\/extraArgs\/0'/],
  [{ agent: { extraEnv: [{ name: "RETINA_OPERATOR_ADDR", value: "x:1" }] } }, /'\/agent\/extraEnv\/0\/name'/],
  [{ agent: { hubblePort: 0 } }, /'\/agent\/hubblePort': minimum/],
  [{ agent: { hubblePort: "4244" } }, /'\/agent\/hubblePort': got string, want integer/],
  [{ agent: { ringBufferSize: 5000 } }, /'\/agent\/ringBufferSize': value must be one of/],
  [{ agent: { tcAttach: "xdp" } }, /'\/agent\/tcAttach': value must be one of/],
  [{ agent: { extraCapabilities: ["NET_RAW"] } }, /'\/agent\/extraCapabilities\/0'/],
  [{ agent: { image: { digest: "latest" } } }, /'\/agent\/image\/digest': .*does not match/],
  [{ agent: { identities: [{ labels: {} }] } }, /'\/agent\/identities\/0': missing property 'addresses'/],
  [{ agent: { podlevel: true } }, /'\/agent': additional properties 'podlevel' not allowed/],
  [{ operator: { replicas: 0 } }, /'\/operator\/replicas': minimum/],
  [{ operator: { image: null } }, /'\/operator': missing property 'image'/],
  [{ clusterName: "Not A Name" }, /'\/clusterName': .*does not match/],
  [{ hubble: { relay: { retryTimeout: "5s" } } }, /'\/hubble\/relay\/retryTimeout': got string, want integer/],
  [{ networkPolicy: { nodeCIDRs: ["10.0.0.1"] } }, /'\/networkPolicy\/nodeCIDRs\/0'/],
  [{ networkPolicy: { relayFrom: [{}] } }, /'\/networkPolicy\/relayFrom\/0': minProperties/],
  [{ metrics: { podMonitor: { interval: "often" } } }, /'\/metrics\/podMonitor\/interval'/],
  [{ nonsense: 1 }, /additional properties 'nonsense' not allowed/],
];

testWith([helmBuilt], "the schema refuses bad values and says which", async (t) => {
  for (const [values, message] of BAD) {
    await t.step(JSON.stringify(values), async () => assert.match(await refusal(values), message));
  }
});

testWith([helmBuilt], "no mode of TLS but the word renders plain text, without the schema either", async () => {
  for (const tls of [null, {}, { mode: "" }, { mode: null }, { mode: false }, { mode: 0 }, { mode: "Plaintext" }]) {
    // An empty map leaves the default; everything else must fail.
    if (tls !== null && Object.keys(tls).length === 0) {
      assert.ok((await render({ tls })).some(({ kind }) => kind === "Secret"));
    } else {assert.match(
        await refusal({ tls }, "--skip-schema-validation"),
        /tls\.mode is .*: expected helm, certManager/,
      );}
  }
});

testWith([helmBuilt], "certificates that every upgrade would renew are refused", async () => {
  for (const certificates of [{ days: 90 }, { caDays: 365 }, { renewBeforeDays: 1095 }]) {
    assert.match(await refusal({ tls: { helm: certificates } }), /tls\.helm\.renewBeforeDays is \d+, no less than/);
  }
});

testWith([helmBuilt], "parts that need each other are not rendered alone", async () => {
  assert.match(await refusal({ operator: { enabled: false } }), /hubble\.relay\.enabled needs operator\.enabled/);
  assert.match(
    await refusal({ hubble: { relay: { enabled: false }, ui: { enabled: true } } }),
    /hubble\.ui\.enabled needs hubble\.relay\.enabled/,
  );
});

Deno.test("every object of the schema that lists its values is closed, and asks for each of them", () => {
  const check = (path: string, one: Schema) => {
    if (one.properties !== undefined) {
      assert.equal(one.additionalProperties, false, `${path} takes values that it does not know`);
      for (const [name, inner] of Object.entries(one.properties)) check(`${path}.${name}`, inner);
    }
  };
  check("", schema);
  for (const [name, one] of Object.entries(schema.definitions ?? {})) check(name, one);
  // A null takes a value away: what has a default must be asked for, or templates would see nothing.
  const required = (path: string, one: Schema) => {
    const target = one.$ref === undefined ? one : schema.definitions![one.$ref.replace("#/definitions/", "")];
    if (target.properties === undefined || target.required === undefined) return;
    const names = Object.keys(target.properties).filter((name) => name !== "global");
    assert.deepEqual([...target.required].toSorted(), names.toSorted(), path);
    for (const name of names) required(`${path}.${name}`, target.properties[name]);
  };
  for (const name of ["tls", "agent", "operator", "hubble", "metrics", "networkPolicy", "service"]) {
    const one = schema.properties![name];
    assert.ok(one.required !== undefined, name);
    // Lists of free objects (identities, environment) have fewer required names; those are behind `items`, not here.
    if (name !== "agent") required(name, one);
    else assert.deepEqual([...one.required].toSorted(), Object.keys(one.properties!).toSorted());
  }
});
