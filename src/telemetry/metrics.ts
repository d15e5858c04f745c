import type { FlowMetrics } from "./flow_metrics.ts";

/** One value of a metric with its label values. */
export interface Sample {
  readonly labels?: Readonly<Record<string, string>>;
  readonly value: number;
}

/** A metric whose values are read at scrape time, so that nothing is paid for between two scrapes. */
export interface MetricSource {
  readonly name: string;
  readonly help: string;
  readonly labels?: readonly string[];
  readonly read: () => Iterable<Sample>;
}

/** Version 0.0.4 of Prometheus' text format, which every scraper reads. */
const CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8";

/**
 * A Prometheus registry over values that other parts of the program hold. It writes the text format by itself: it has
 * nothing but counters and gauges, and a client library takes 4 MB.
 */
export class Metrics {
  readonly #metrics = new Map<string, { readonly type: "counter" | "gauge"; readonly source: MetricSource }>();

  /** Registers a value that only grows; `name` ends in `_total`. Samples with the same labels are added up. */
  counter(source: MetricSource): void {
    this.#register("counter", source);
  }

  /** Registers a value that goes up and down. Of samples with the same labels the last one counts. */
  gauge(source: MetricSource): void {
    this.#register("gauge", source);
  }

  #register(type: "counter" | "gauge", source: MetricSource): void {
    if (!/^[a-zA-Z_:][a-zA-Z0-9_:]*$/.test(source.name) || this.#metrics.has(source.name)) {
      throw new Error(`Cannot register the metric ${source.name}: expected a valid name that is not registered yet`);
    }
    this.#metrics.set(source.name, { type, source });
  }

  /** The exposition text and its content type. */
  render(): { body: string; contentType: string } {
    let body = "";
    for (const [name, { type, source }] of this.#metrics) {
      body += `# HELP ${name} ${escape(source.help)}\n# TYPE ${name} ${type}\n`;
      const series = new Map<string, number>();
      for (const { labels, value } of source.read()) {
        const key = labels === undefined ? "" : labelText(labels);
        series.set(key, type === "counter" ? (series.get(key) ?? 0) + value : value);
      }
      for (const [labels, value] of series) body += `${name}${labels} ${numberText(value)}\n`;
    }
    return { body, contentType: CONTENT_TYPE };
  }
}

function labelText(labels: Readonly<Record<string, string>>): string {
  const pairs = Object.entries(labels).map(([name, value]) => `${name}="${escape(value).replaceAll('"', '\\"')}"`);
  return pairs.length === 0 ? "" : `{${pairs.join(",")}}`;
}

function escape(text: string): string {
  return text.replaceAll("\\", "\\\\").replaceAll("\n", "\\n");
}

function numberText(value: number): string {
  return Number.isFinite(value) || Number.isNaN(value) ? `${value}` : value > 0 ? "+Inf" : "-Inf";
}

/** Registers the series that come from flow records: Hubble's names where Hubble has one, Retina's prefix otherwise. */
export function registerFlowMetrics(metrics: Metrics, flows: FlowMetrics): void {
  metrics.counter({
    name: "hubble_flows_processed_total",
    help: "Flow records read from the kernel: reports, not packets",
    labels: ["protocol", "type", "subtype", "verdict"],
    *read() {
      for (const { protocol, subtype, value } of flows.events()) {
        if (value > 0) yield { labels: { protocol, type: "Trace", subtype, verdict: "FORWARDED" }, value };
      }
    },
  });
  metrics.counter({
    name: "networkobservability_forward_packets_total",
    help: "Packets seen, those that conntrack held back included, by direction of the connection and observation point",
    labels: ["direction", "observation_point"],
    *read() {
      for (const { direction, observation_point, packets } of flows.traffic()) {
        if (packets > 0) yield { labels: { direction, observation_point }, value: packets };
      }
    },
  });
  metrics.counter({
    name: "networkobservability_forward_bytes_total",
    help: "Bytes seen, those that conntrack held back included, by direction of the connection and observation point",
    labels: ["direction", "observation_point"],
    *read() {
      for (const { direction, observation_point, bytes } of flows.traffic()) {
        if (bytes > 0) yield { labels: { direction, observation_point }, value: bytes };
      }
    },
  });
  metrics.counter({
    name: "hubble_tcp_flags_total",
    help: "TCP packets that carry a flag, those that conntrack held back included",
    labels: ["flag", "family"],
    *read() {
      for (const { flag, family, value } of flows.tcpFlags()) if (value > 0) yield { labels: { flag, family }, value };
    },
  });
}
