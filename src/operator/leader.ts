import { sleep } from "../identity/backoff.ts";
import { asObject, type Json, object, string } from "./facts/json.ts";
import { ApiError, type ApiSession, type KubeApi, parseObject } from "./kube/api.ts";

/** What a {@link LeaderElector} is made with. */
export interface LeaderOptions {
  readonly api: KubeApi;
  readonly namespace: string;
  /** Name of the Lease that all replicas share. */
  readonly name: string;
  /** Name of this replica, different from every other's: the pod's. */
  readonly identity: string;
  /** Called when this replica begins to lead, and when it no longer does. */
  readonly onChange: (leading: boolean) => void;
  readonly report: (level: "info" | "warning", message: string) => void;
  readonly times?: Partial<LeaseTimes>;
}

/** Times of the election, milliseconds; those of the controllers of Kubernetes. */
export interface LeaseTimes {
  /** A lease that was not renewed for so long is free. */
  readonly duration: number;
  /** A leader that could not renew for so long stops leading; less than the duration, so that two never lead at once. */
  readonly deadline: number;
  /** Between two attempts. */
  readonly retry: number;
}

const TIMES: LeaseTimes = { duration: 15_000, deadline: 10_000, retry: 2_000 };

/** Decides by a Lease which of several replicas serves agents. Clocks of replicas are not compared. */
export class LeaderElector {
  readonly #options: LeaderOptions;
  readonly #times: LeaseTimes;
  readonly #stop = new AbortController();
  #running: Promise<void> | undefined;
  #leading = false;
  #holder = "";
  /** The lease as last seen, and when by this replica's clock it was first seen so. */
  #seen = "";
  #seenAt = 0;
  #renewedAt = 0;
  #lastError = "";

  constructor(options: LeaderOptions) {
    this.#options = options;
    this.#times = { ...TIMES, ...options.times };
  }

  get leading(): boolean {
    return this.#leading;
  }

  /** Name of the replica that leads; empty when none is known. */
  get holder(): string {
    return this.#holder;
  }

  start(): void {
    this.#running ??= this.#run();
  }

  /** Stops; a leader gives the lease back, so that the next one need not wait. */
  async stop(): Promise<void> {
    this.#stop.abort();
    await this.#running;
  }

  async #run(): Promise<void> {
    const { signal } = this.#stop;
    while (!signal.aborted) {
      await this.#round();
      const { retry } = this.#times;
      await sleep(retry * (1 + 0.2 * Math.random()), signal);
    }
    if (!this.#leading) return;
    this.#set(false);
    await this.#attempt((session, lease) => this.#write(session, lease, "")).catch(() => {});
  }

  async #round(): Promise<void> {
    try {
      await this.#attempt((session, lease) => this.#try(session, lease));
      this.#lastError = "";
    } catch (error) {
      // Another replica was faster: no failure.
      if (!(error instanceof ApiError && error.status === 409)) this.#failed(error);
    }
    if (this.#leading && performance.now() - this.#renewedAt > this.#times.deadline) this.#set(false);
  }

  /** Reads the lease and acts on it, all within the time that a leader has to renew it. */
  async #attempt(act: (session: ApiSession, lease: Json | undefined) => Promise<void>): Promise<void> {
    const late = new AbortController();
    const timer = setTimeout(() => late.abort(new Error("no answer in time")), this.#times.deadline / 2);
    const session = await this.#options.api.open();
    try {
      await act(
        { ...session, send: (request) => session.send({ ...request, signal: late.signal }) },
        await this.#read(session, late.signal),
      );
    } finally {
      clearTimeout(timer);
      session.close();
    }
  }

  async #read(session: ApiSession, signal: AbortSignal): Promise<Json | undefined> {
    try {
      const response = await session.send({ path: `${this.#path()}/${this.#options.name}`, signal });
      return parseObject(await response.text());
    } catch (error) {
      if (error instanceof ApiError && error.status === 404) return undefined;
      throw error;
    }
  }

  async #try(session: ApiSession, lease: Json | undefined): Promise<void> {
    const spec = object(lease ?? {}, "spec");
    this.#holder = string(spec, "holderIdentity");
    const state = JSON.stringify([this.#holder, spec["renewTime"], object(lease ?? {}, "metadata")["resourceVersion"]]);
    if (state !== this.#seen) {
      this.#seen = state;
      this.#seenAt = performance.now();
    }
    const mine = this.#holder === this.#options.identity;
    const free = this.#holder === "" || performance.now() - this.#seenAt > this.#times.duration;
    if (!mine && !free) {
      if (this.#leading) this.#set(false);
      return;
    }
    const began = performance.now();
    await this.#write(session, lease, this.#options.identity);
    this.#renewedAt = began;
    this.#holder = this.#options.identity;
    this.#set(true);
  }

  async #write(session: ApiSession, lease: Json | undefined, holder: string): Promise<void> {
    const { name, namespace } = this.#options;
    const old = object(lease ?? {}, "spec");
    const now = new Date().toISOString().replace("Z", "000Z");
    const taken = string(old, "holderIdentity") !== holder;
    const transitions = typeof old["leaseTransitions"] === "number" ? old["leaseTransitions"] : 0;
    const body = {
      apiVersion: "coordination.k8s.io/v1",
      kind: "Lease",
      metadata: { ...asObject(lease?.["metadata"]), name, namespace },
      spec: {
        holderIdentity: holder,
        leaseDurationSeconds: Math.ceil(this.#times.duration / 1000),
        acquireTime: taken ? now : old["acquireTime"],
        renewTime: now,
        leaseTransitions: transitions + (taken && lease !== undefined ? 1 : 0),
      },
    };
    const path = this.#path();
    const { signal } = new AbortController();
    const response = lease === undefined
      ? await session.send({ method: "POST", path, body, signal })
      : await session.send({ method: "PUT", path: `${path}/${name}`, body, signal });
    await response.text();
  }

  #path(): string {
    return `/apis/coordination.k8s.io/v1/namespaces/${this.#options.namespace}/leases`;
  }

  #set(leading: boolean): void {
    if (leading === this.#leading) return;
    this.#leading = leading;
    this.#options.report(
      "info",
      leading ? `${this.#options.identity} leads now` : `${this.#options.identity} no longer leads`,
    );
    this.#options.onChange(leading);
  }

  #failed(error: unknown): void {
    const text = error instanceof Error ? error.message : String(error);
    const { namespace, name, report } = this.#options;
    if (text !== this.#lastError) {
      report("warning", `Cannot use Lease ${namespace}/${name}: ${text}; it is tried again`);
    }
    this.#lastError = text;
  }
}
