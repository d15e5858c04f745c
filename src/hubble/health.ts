/** grpc.health.v1: whether the server, and each of its services, can answer. */
import { create } from "@bufbuild/protobuf";
import { Code, ConnectError, type ConnectRouter } from "@connectrpc/connect";
import {
  Health,
  type HealthCheckResponse,
  HealthCheckResponse_ServingStatus as Status,
  HealthCheckResponseSchema,
} from "../../proto/gen/grpc/health/v1/health_pb.ts";
import type { GrpcRouter } from "./grpc/router.ts";

/** The health of services; `""` is the server as a whole. */
export class HealthRegistry {
  readonly #services: ReadonlySet<string>;
  readonly #changes = new Set<() => void>();
  #serving = false;

  /** `services` are answered besides `""`; all of them have the same health. */
  constructor(services: readonly string[]) {
    this.#services = new Set(["", ...services]);
  }

  get serving(): boolean {
    return this.#serving;
  }

  /** Tells everybody who watches. */
  set serving(serving: boolean) {
    if (serving === this.#serving) return;
    this.#serving = serving;
    for (const change of [...this.#changes]) change();
  }

  /** Adds the service to a server. */
  register(router: GrpcRouter): void {
    router
      .unary((connect: ConnectRouter) =>
        connect.rpc(Health.method.check, ({ service }) => {
          const status = this.#status(service);
          if (status === Status.SERVICE_UNKNOWN) {
            throw new ConnectError(`Unknown service ${JSON.stringify(service)}`, Code.NotFound);
          }
          return create(HealthCheckResponseSchema, { status });
        })
      )
      .messages(Health.method.watch, ({ service }, { signal }) => this.#watch(service, signal));
  }

  async *#watch(service: string, signal: AbortSignal): AsyncGenerator<HealthCheckResponse> {
    while (!signal.aborted) {
      yield create(HealthCheckResponseSchema, { status: this.#status(service) });
      await this.#changed(signal);
    }
  }

  #changed(signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const done = () => {
        this.#changes.delete(done);
        signal.removeEventListener("abort", done);
        resolve();
      };
      this.#changes.add(done);
      signal.addEventListener("abort", done);
      if (signal.aborted) done();
    });
  }

  #status(service: string): Status {
    if (!this.#services.has(service)) return Status.SERVICE_UNKNOWN;
    return this.#serving ? Status.SERVING : Status.NOT_SERVING;
  }
}
