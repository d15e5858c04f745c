import type { Probe } from "../telemetry/http.ts";

/** The state of one part of the agent. */
export interface PartHealth {
  /** Whether the part does its work; a part that does not fails `/healthz`. */
  readonly alive: boolean;
  /** Whether the part has begun its work; a part that has not fails `/readyz` alone. */
  readonly ready: boolean;
  /** Why it is not alive or not ready, in a few words. */
  readonly reason?: string;
  /** Lines for a person who reads `/readyz`. */
  readonly details?: readonly string[];
}

/** Collects the state of the agent's parts for the two probes. */
export class Readiness {
  readonly #parts = new Map<string, () => PartHealth>();

  /** Adds a part; a part of the same name is replaced. */
  add(name: string, state: () => PartHealth): void {
    this.#parts.set(name, state);
  }

  /** `/healthz`: whether every part does its work. Kubernetes restarts the agent when it fails. */
  health(): Probe {
    return this.#probe((part) => part.alive);
  }

  /** `/readyz`: whether every part does its work and has begun it. */
  ready(): Probe {
    return this.#probe((part) => part.alive && part.ready);
  }

  #probe(passes: (part: PartHealth) => boolean): Probe {
    const parts = [...this.#parts].map(([name, state]) => ({ name, ...state() }));
    const failing = parts.filter((part) => !passes(part));
    return {
      ok: failing.length === 0,
      reasons: failing.map(({ name, reason }) => `${name}: ${reason ?? "not ready"}`),
      details: parts.flatMap(({ name, details }) => (details ?? []).map((line) => `${name}: ${line}`)),
    };
  }
}
