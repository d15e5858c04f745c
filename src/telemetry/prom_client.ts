/**
 * The parts of prom-client that are used here. The package's index loads the others too, among them a cluster of processes
 * and an HTTP client: 6 MB of memory.
 */
import type * as promClient from "prom-client";
import counter from "prom-client/lib/counter.js";
import gauge from "prom-client/lib/gauge.js";
import registry from "prom-client/lib/registry.js";

export const Counter = counter as typeof promClient.Counter;
export const Gauge = gauge as typeof promClient.Gauge;
export const Registry = registry as typeof promClient.Registry;
