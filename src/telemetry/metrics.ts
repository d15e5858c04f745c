import { Counter, Gauge, Registry } from "./prom_client.ts";
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

/** A Prometheus registry over values that other parts of the program hold. */
export class Metrics {
  readonly #registry = new Registry();

  /** Registers a value that only grows; `name` ends in `_total`. */
  counter(source: MetricSource): void {
    new Counter({
      name: source.name,
      help: source.help,
      labelNames: [...(source.labels ?? [])],
      registers: [this.#registry],
      collect() {
        this.reset();
        for (const { labels, value } of source.read()) this.inc(labels ?? {}, value);
      },
    });
  }

  /** Registers a value that goes up and down. */
  gauge(source: MetricSource): void {
    new Gauge({
      name: source.name,
      help: source.help,
      labelNames: [...(source.labels ?? [])],
      registers: [this.#registry],
      collect() {
        this.reset();
        for (const { labels, value } of source.read()) this.set(labels ?? {}, value);
      },
    });
  }

  /** The exposition text and its content type. */
  async render(): Promise<{ body: string; contentType: string }> {
    return { body: await this.#registry.metrics(), contentType: this.#registry.contentType };
  }
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
