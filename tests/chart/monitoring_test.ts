/** Custom resources, which no Go type of Kubernetes checks: their fields, as the operators of Prometheus document them. */
import assert from "node:assert/strict";
import { testWith } from "../lab/need.ts";
import { find, helmBuilt, type Manifest, render } from "./chart.ts";
import { EVERYTHING } from "./value_sets.ts";

const only = (of: object, ...keys: string[]) =>
  assert.deepEqual(Object.keys(of).filter((key) => !keys.includes(key)), [], JSON.stringify(of));

testWith([helmBuilt], "monitors have an endpoint each, of the port and path that metrics are served at", async () => {
  const manifests = await render(EVERYTHING);
  for (const name of ["retina-agent", "retina-operator"]) {
    for (const [kind, list] of [["PodMonitor", "podMetricsEndpoints"], ["ServiceMonitor", "endpoints"]]) {
      const { apiVersion, metadata, spec } = find(manifests, kind, name);
      assert.equal(apiVersion, "monitoring.coreos.com/v1");
      assert.equal(metadata.labels["release"], "prometheus");
      only(spec, "selector", list);
      only(spec.selector, "matchLabels");
      assert.equal(spec[list].length, 1);
      const [endpoint] = spec[list];
      only(endpoint, "port", "path", "interval", "relabelings", "metricRelabelings");
      assert.deepEqual([endpoint.port, endpoint.path], ["metrics", "/metrics"]);
      assert.equal(endpoint.interval, kind === "PodMonitor" ? "30s" : undefined);
      assert.equal(endpoint.relabelings?.length ?? 0, kind === "PodMonitor" ? 1 : 0);
    }
  }
});

testWith([helmBuilt], "a Service for a monitor gives every pod a target of its own", async () => {
  const manifests = await render(EVERYTHING);
  for (const name of ["retina-agent-metrics", "retina-operator-metrics"]) {
    assert.equal(find(manifests, "Service", name)["spec"].clusterIP, "None");
  }
  const none = await render();
  assert.deepEqual(none.filter(({ kind, metadata }) => kind === "Service" && /-metrics$/.test(metadata.name)), []);
});

testWith([helmBuilt], "alerts say what is wrong and what to do, and wait as long as the values say", async () => {
  const rule = find(
    await render({ metrics: { prometheusRule: { enabled: true, for: "3m" } } }),
    "PrometheusRule",
    "retina",
  );
  const { groups } = rule["spec"];
  assert.equal(groups.length, 1);
  const names = groups[0].rules.map(({ alert }: { alert: string }) => alert);
  assert.equal(new Set(names).size, names.length);
  for (const one of groups[0].rules) {
    only(one, "alert", "expr", "for", "labels", "annotations");
    assert.ok(["warning", "critical"].includes(one.labels.severity), one.alert);
    assert.ok(one.annotations.summary.length > 20 && one.annotations.description.length > 20, one.alert);
    // Prometheus fills these in, not Helm.
    assert.doesNotMatch(JSON.stringify(one), /<no value>|\{\{ *\}\}/);
    if (one.for !== undefined) assert.equal(one.for, "3m");
  }
  const alone = await render({
    operator: { enabled: false },
    hubble: { relay: { enabled: false } },
    metrics: { prometheusRule: { enabled: true } },
  });
  const text = JSON.stringify(find(alone, "PrometheusRule", "retina"));
  assert.doesNotMatch(text, /retina_operator/, "an alert for an operator that is not there would never end");
});

testWith([helmBuilt], "the dashboard is in a ConfigMap that Grafana's sidecar finds, unchanged", async () => {
  const manifests: Manifest[] = await render(EVERYTHING);
  const { metadata, data } = find(manifests, "ConfigMap", "retina-dashboards");
  assert.equal(metadata.labels["grafana_dashboard"], "1");
  assert.deepEqual(metadata.annotations, { folder: "Network" });
  const own = await Deno.readTextFile(new URL("../../helm/dashboards/retina.json", import.meta.url));
  assert.deepEqual(JSON.parse(data["retina.json"]), JSON.parse(own));
});
