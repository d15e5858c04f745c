import { create, fromBinary } from "@bufbuild/protobuf";
import { Code, ConnectError, type ConnectRouter } from "@connectrpc/connect";
import {
  GetIpCacheSnapshotResponseSchema,
  IpCache,
  IpCacheBatchSchema,
  IpCacheRequestSchema,
} from "../../../proto/gen/ipcache/ipcache_pb.ts";
import type { Call } from "../../hubble/grpc/call.ts";
import { decodeRequest, type GrpcRouter } from "../../hubble/grpc/router.ts";
import type { ChangeLog } from "./change_log.ts";
import { LogReader } from "./reader.ts";

/** A unary answer larger than this fails in the default clients of every language. */
const MAX_UNARY = 4 * 1024 * 1024;

/** Whether agents are served, and with what. */
export interface ServiceState {
  /** The log; undefined until the operator has listed everything once. */
  readonly log: ChangeLog | undefined;
  /** Why agents are sent away; undefined: they are not. */
  readonly refusal: string | undefined;
}

/** Counts of the service, for metrics. */
export interface ServiceStats {
  readonly connected: number;
  readonly snapshots: number;
  readonly resyncs: number;
  readonly resumes: number;
  readonly refused: number;
  /** Frames that the slowest agent is behind. */
  readonly lag: number;
}

interface Stream {
  readonly call: Call;
  readonly node: string;
  readonly epoch: bigint;
  readonly revision: bigint;
  reader: LogReader | undefined;
}

/** ipcache.IpCache: streams the log to agents. */
export class IpCacheService {
  readonly #state: ServiceState;
  readonly #streams = new Set<Stream>();
  readonly #onConnect: (node: string, connected: boolean) => void;
  #snapshots = 0;
  #resyncs = 0;
  #resumes = 0;
  #refused = 0;

  /** @param onConnect told when an agent's stream begins and ends */
  constructor(state: ServiceState, onConnect: (node: string, connected: boolean) => void) {
    this.#state = state;
    this.#onConnect = onConnect;
  }

  register(router: GrpcRouter): void {
    for (const method of [IpCache.method.streamIpCacheUpdates, IpCache.method.streamUpdates]) {
      router.stream(method, (call, message) => this.#stream(call, message));
    }
    router.unary((connect) => this.#registerUnary(connect));
  }

  /** Agents connected. */
  get connected(): number {
    return this.#streams.size;
  }

  stats(): ServiceStats {
    let lag = 0;
    for (const { reader } of this.#streams) if (reader !== undefined) lag = Math.max(lag, reader.lag);
    return {
      connected: this.#streams.size,
      snapshots: this.#snapshots,
      resyncs: this.#resyncs,
      resumes: this.#resumes,
      refused: this.#refused,
      lag,
    };
  }

  /** Begins to serve the agents that came before the log was there. */
  start(): void {
    for (const stream of this.#streams) this.#begin(stream);
  }

  /** Sends every agent away; each keeps its names and connects again, to whoever leads by then. */
  dismiss(reason: string): void {
    const shutdown = this.#state.log?.shutdown();
    for (const { call, reader } of this.#streams) {
      reader?.stop();
      if (shutdown !== undefined) call.write(shutdown.bytes(false), () => {});
      call.finish(Code.Unavailable, reason);
    }
  }

  #stream(call: Call, message: Uint8Array): void {
    const request = decodeRequest(IpCacheRequestSchema, message);
    if (this.#state.refusal !== undefined) {
      this.#refused++;
      throw new ConnectError(this.#state.refusal, Code.Unavailable);
    }
    if (call.finished) return;
    const stream: Stream = {
      call,
      node: request.nodeName,
      epoch: request.epoch,
      revision: request.revision,
      reader: undefined,
    };
    this.#streams.add(stream);
    this.#onConnect(stream.node, true);
    call.signal.addEventListener("abort", () => {
      stream.reader?.stop();
      this.#streams.delete(stream);
      this.#onConnect(stream.node, false);
    });
    call.open(call.acceptsGzip ? "gzip" : "identity");
    this.#begin(stream);
  }

  #begin(stream: Stream): void {
    const { log } = this.#state;
    if (log === undefined || stream.reader !== undefined) return;
    const from = stream.epoch === log.epoch ? Number(stream.revision) : undefined;
    stream.reader = new LogReader(log, stream.call, from, stream.call.acceptsGzip, {
      onSnapshot: (resync) => resync ? this.#resyncs++ : this.#snapshots++,
      onResume: () => this.#resumes++,
    });
  }

  #registerUnary(router: ConnectRouter): void {
    router.rpc(IpCache.method.getIpCacheSnapshot, () => {
      const { log, refusal } = this.#state;
      if (refusal !== undefined) throw new ConnectError(refusal, Code.Unavailable);
      if (log === undefined) {
        throw new ConnectError("The operator has not listed the cluster yet: try again", Code.FailedPrecondition);
      }
      const snapshot = log.snapshot();
      if (snapshot.bytes > MAX_UNARY) {
        const text = `The snapshot has ${snapshot.bytes} bytes, more than ${MAX_UNARY}: use StreamIpCacheUpdates`;
        throw new ConnectError(text, Code.ResourceExhausted);
      }
      const updates = snapshot.frames.flatMap((frame) => fromBinary(IpCacheBatchSchema, frame.message).updates);
      return create(GetIpCacheSnapshotResponseSchema, {
        updates,
        epoch: log.epoch,
        revision: BigInt(snapshot.revision),
      });
    });
  }
}
