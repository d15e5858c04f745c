/** observer.Observer: flows, agent events, and what the server says about itself. */
import { create } from "@bufbuild/protobuf";
import { Code, type ConnectRouter } from "@connectrpc/connect";
import {
  GetFlowsRequestSchema,
  GetNamespacesResponseSchema,
  GetNodesResponseSchema,
  Observer,
  ServerStatusResponseSchema,
} from "../../proto/gen/observer/observer_pb.ts";
import { NodeState } from "../../proto/gen/relay/relay_pb.ts";
import { FlowEncoder } from "../flow/encoder.ts";
import type { FlowStore } from "../flow/store.ts";
import { FlowView, type RecordContext } from "../flow/view.ts";
import { type AgentEventLog, agentEvents } from "./agent_events.ts";
import { flowQuery } from "./flow_query.ts";
import { FlowReader, systemClock } from "./flow_reader.ts";
import { flowRate } from "./flow_rate.ts";
import { BufferPool, streamFlows, Turns } from "./flow_stream.ts";
import type { Call } from "./grpc/call.ts";
import { decodeRequest, type GrpcRouter } from "./grpc/router.ts";
import { NamespaceTracker } from "./namespaces.ts";

/** What the observer serves from. */
export interface ObserverContext {
  readonly store: FlowStore;
  readonly record: RecordContext;
  readonly agentEvents: AgentEventLog;
  /** This program and its version, as `hubble list nodes -o wide` shows it. */
  readonly version: string;
  /** TLS server name of this node, when it serves TLS. */
  readonly tlsServerName?: string;
  /** When the agent started, on the clock of `performance.now()`, in milliseconds. */
  readonly startedAt: number;
  /** Address that others reach this server at; empty when unknown. */
  readonly address: () => string;
}

/** The running service. */
export interface ObserverService extends Disposable {
  /** Events that readers missed because the writer overtook them, over all readers so far. */
  readonly overtaken: number;
  /** Followers end when they have sent what the store holds now. */
  stop(): void;
}

/** Adds the service to a server. */
export function registerObserver(router: GrpcRouter, context: ObserverContext): ObserverService {
  const { record: { nodeName } } = context;
  const namespaces = new NamespaceTracker(context.store);
  const readers = new Set<FlowReader>();
  const view = new FlowView(context.store, context.record);
  let overtaken = 0;
  const streams: StreamContext = {
    ...context,
    encoder: new FlowEncoder(context.record),
    pool: new BufferPool(),
    turns: new Turns(),
    readers,
    onOvertaken: (events) => overtaken += events,
  };
  router
    .stream(Observer.method.getFlows, (call, message) => getFlows(streams, call, message))
    .messages(
      Observer.method.getAgentEvents,
      (request, call) => agentEvents(context.agentEvents, request, nodeName, call.signal),
    )
    // There is no datapath that writes debug messages; an empty answer says so better than an error does.
    .messages(Observer.method.getDebugEvents, async function* () {})
    .unary((connect: ConnectRouter) =>
      connect.service(Observer, {
        serverStatus: () =>
          create(ServerStatusResponseSchema, {
            ...counters(context),
            version: context.version,
            flowsRate: flowRate(context.store, view, Date.now()),
          }),
        getNodes: () => create(GetNodesResponseSchema, { nodes: [thisNode(context)] }),
        getNamespaces: () => create(GetNamespacesResponseSchema, { namespaces: namespaces.list() }),
      })
    );
  return {
    get overtaken() {
      return overtaken;
    },
    stop: () => readers.forEach((reader) => reader.stop()),
    [Symbol.dispose]: () => namespaces[Symbol.dispose](),
  };
}

/** What the streams of flows share. */
interface StreamContext extends ObserverContext {
  readonly encoder: FlowEncoder;
  readonly pool: BufferPool;
  readonly turns: Turns;
  readonly readers: Set<FlowReader>;
  readonly onOvertaken: (events: number) => void;
}

async function getFlows(
  { store, record, encoder, pool, turns, readers, onOvertaken }: StreamContext,
  call: Call,
  message: Uint8Array,
): Promise<void> {
  const query = await flowQuery(decodeRequest(GetFlowsRequestSchema, message));
  const reader = new FlowReader({
    store,
    view: new FlowView(store, record),
    encoder,
    nodeName: record.nodeName,
    clock: systemClock,
    onOvertaken,
  }, query);
  call.open();
  readers.add(reader);
  try {
    await streamFlows(call, reader, store, pool, turns);
  } finally {
    readers.delete(reader);
  }
  if (reader.stopped) call.finish(Code.Unavailable, "Server is stopping");
  else call.finish(0);
}

/** Numbers of the store that ServerStatus and GetNodes share. */
function counters({ store, startedAt }: ObserverContext) {
  return {
    numFlows: BigInt(store.head - store.oldest),
    maxFlows: BigInt(store.capacity),
    seenFlows: BigInt(store.head),
    uptimeNs: BigInt(Math.round((performance.now() - startedAt) * 1e6)),
  };
}

function thisNode(context: ObserverContext) {
  const { record: { nodeName }, version, address, tlsServerName } = context;
  return {
    ...counters(context),
    name: nodeName,
    version,
    address: address(),
    state: NodeState.NODE_CONNECTED,
    tls: { enabled: tlsServerName !== undefined, serverName: tlsServerName ?? "" },
  };
}
