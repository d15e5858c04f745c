import assert from "node:assert/strict";
import { create, type DescMessage, fromBinary, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import { Code } from "@connectrpc/connect";
import type { ClientHttp2Session } from "node:http2";
import { HealthCheckRequestSchema, HealthCheckResponseSchema } from "../../proto/gen/grpc/health/v1/health_pb.ts";
import {
  GetAgentEventsRequestSchema,
  GetAgentEventsResponseSchema,
  GetFlowsRequestSchema,
  GetFlowsResponseSchema,
  GetNamespacesResponseSchema,
  GetNodesResponseSchema,
  ServerStatusResponseSchema,
} from "../../proto/gen/observer/observer_pb.ts";
import { ChangeNotificationSchema, ChangeNotificationType } from "../../proto/gen/peer/peer_pb.ts";
import { NodeState } from "../../proto/gen/relay/relay_pb.ts";
import { openSession, rawCall, type RawOptions } from "../../tests/interop/raw_call.ts";
import { event, type Fixture, fixture } from "../flow/test_support.ts";
import { makeIdentity } from "../identity/make.ts";
import { AgentEventLog } from "./agent_events.ts";
import { type HubbleContext, type HubbleOptions, type HubbleServer, serveHubble } from "./server.ts";

interface Running {
  readonly flows: Fixture;
  readonly server: HubbleServer;
  readonly session: ClientHttp2Session;
  call<I extends DescMessage, O extends DescMessage>(
    path: string,
    input: I,
    output: O,
    request?: MessageInitShape<I>,
    options?: RawOptions,
  ): Promise<{ code: number | undefined; text: string; messages: ReturnType<typeof fromBinary<O>>[] }>;
}

async function withServer(
  run: (running: Running) => Promise<void>,
  context: Partial<HubbleContext> = {},
  options: Partial<HubbleOptions> = {},
) {
  const flows = fixture({ capacity: 1024 });
  const server = await serveHubble({
    store: flows.store,
    record: flows.context,
    version: "retina-agent 1.2.3",
    ...context,
  }, {
    address: "127.0.0.1",
    port: 0,
    ...options,
  });
  const session = await openSession(`http://127.0.0.1:${server.port}`);
  try {
    await run({
      flows,
      server,
      session,
      async call(path, input, output, request, options) {
        const answer = await rawCall(session, path, toBinary(input, create(input, request)), options);
        return {
          code: answer.code,
          text: answer.message,
          messages: answer.messages.map((message) => fromBinary(output, message)),
        };
      },
    });
  } finally {
    session.destroy();
    await server.stop(100);
  }
}

const FLOWS = "/observer.Observer/GetFlows";
const now = () => Math.floor(Date.now() / 1000);

function push({ flows }: Running, count: number, from = 0): void {
  for (let i = 0; i < count; i++) {
    flows.push(event({ ip_version: 4, protocol: 17, src_port: from + i, dst_port: 53 }), { wall: [now(), 0] });
  }
  flows.store.flushBatch();
}

function ports(messages: ReturnType<typeof fromBinary<typeof GetFlowsResponseSchema>>[]): number[] {
  return messages.map(({ responseTypes }) =>
    responseTypes.case === "flow" && responseTypes.value.l4?.protocol.case === "UDP"
      ? responseTypes.value.l4.protocol.value.sourcePort
      : -1
  );
}

Deno.test("GetFlows sends stored flows with node name and time", async () => {
  await withServer(async (running) => {
    push(running, 30);
    const { code, messages } = await running.call(FLOWS, GetFlowsRequestSchema, GetFlowsResponseSchema, { number: 3n });
    assert.equal(code, 0);
    assert.deepEqual(ports(messages), [27, 28, 29]);
    assert.deepEqual([messages[0].nodeName, Number(messages[0].time?.seconds) > 1_700_000_000], ["node-1", true]);
  });
});

Deno.test("GetFlows carries the Hubble version in its headers", async () => {
  await withServer(async ({ session }) => {
    const answer = await rawCall(session, FLOWS);
    assert.equal(answer.headers["hubble-server-version"], "1.19.4");
    assert.equal(answer.headers["grpc-encoding"], "identity");
  });
});

Deno.test("GetFlows follows until the client cancels", async () => {
  await withServer(async (running) => {
    push(running, 5);
    let chunks = 0;
    const answer = await running.call(FLOWS, GetFlowsRequestSchema, GetFlowsResponseSchema, {
      follow: true,
      number: 2n,
    }, {
      with: (stream) =>
        stream.on("data", () => {
          chunks++;
          if (chunks === 1) push(running, 3, 100);
          else stream.close(8);
        }),
    });
    assert.deepEqual(ports(answer.messages), [3, 4, 100, 101, 102]);
    for (let i = 0; i < 4000 && running.server.streams > 0; i++) await new Promise((resolve) => setTimeout(resolve, 5));
    assert.equal(running.server.streams, 0);
  });
});

Deno.test("GetFlows applies a field mask", async () => {
  await withServer(async (running) => {
    push(running, 1);
    const { messages } = await running.call(FLOWS, GetFlowsRequestSchema, GetFlowsResponseSchema, {
      fieldMask: { paths: ["IP.source"] },
    });
    const flow = messages[0].responseTypes;
    assert.equal(flow.case, "flow");
    assert.equal(flow.case === "flow" && flow.value.IP?.source, "10.0.0.1");
    assert.equal(flow.case === "flow" && flow.value.l4, undefined);
    assert.equal(messages[0].time, undefined);
  });
});

Deno.test("GetFlows refuses what it cannot do, by its code", async () => {
  await withServer(async ({ call }) => {
    const flows = (request: MessageInitShape<typeof GetFlowsRequestSchema>) =>
      call(FLOWS, GetFlowsRequestSchema, GetFlowsResponseSchema, request);
    assert.equal((await flows({ first: true, follow: true })).code, Code.InvalidArgument);
    assert.equal((await flows({ since: { nanos: -5 } })).code, Code.InvalidArgument);
    assert.match((await flows({ fieldMask: { paths: ["bogus"] } })).text, /invalid fieldmask.*bogus/);
  });
});

Deno.test("GetFlows sends what passes the filters, and counts only that", async () => {
  await withServer(async (running) => {
    push(running, 30);
    const flows = (request: MessageInitShape<typeof GetFlowsRequestSchema>) =>
      running.call(FLOWS, GetFlowsRequestSchema, GetFlowsResponseSchema, request);
    const even = Array.from({ length: 15 }, (_, i) => ({ sourcePort: [String(2 * i)] }));
    const found = await flows({ number: 3n, whitelist: even, blacklist: [{ sourcePort: ["26"] }] });
    assert.deepEqual([found.code, ports(found.messages)], [0, [22, 24, 28]]);
    const wrong = await flows({ whitelist: [{ protocol: ["tcp"] }, { protocol: ["x"] }] });
    assert.equal(wrong.code, Code.InvalidArgument);
    assert.equal(wrong.text, 'invalid protocol filter: unknown protocol: "x"');
  });
});

Deno.test("GetFlows reports a follower that was overtaken while it did not read", async () => {
  await withServer(async (running) => {
    push(running, 10);
    const { messages } = await running.call(FLOWS, GetFlowsRequestSchema, GetFlowsResponseSchema, { follow: true }, {
      with: (stream) =>
        stream.once("response", () => {
          // Without a turn of the event loop in between, the follower cannot keep up.
          push(running, 1024 + 50);
          let idle: ReturnType<typeof setTimeout>;
          stream.on("data", () => {
            clearTimeout(idle);
            idle = setTimeout(() => stream.close(8), 200);
          });
        }),
    });
    assert.equal(messages[0].responseTypes.case, "lostEvents");
    assert.equal(messages[0].responseTypes.case === "lostEvents" && messages[0].responseTypes.value.numEventsLost, 50n);
    assert.equal(messages[0].nodeName, "node-1");
    assert.equal(messages.length, 1025);
  });
});

Deno.test("ServerStatus counts flows and leaves the fields of a relay unset", async () => {
  await withServer(async (running) => {
    push(running, 30);
    const { messages: [status] } = await running.call(
      "/observer.Observer/ServerStatus",
      GetFlowsRequestSchema,
      ServerStatusResponseSchema,
    );
    assert.deepEqual([status.numFlows, status.maxFlows, status.seenFlows], [30n, 1024n, 30n]);
    assert.equal(status.flowsRate, 0.5);
    assert.equal(status.version, "retina-agent 1.2.3");
    assert.ok(status.uptimeNs > 0n);
    assert.equal(status.numConnectedNodes, undefined);
  });
});

Deno.test("GetNodes describes this node", async () => {
  await withServer(async ({ call, server }) => {
    const { messages: [{ nodes }] } = await call(
      "/observer.Observer/GetNodes",
      GetFlowsRequestSchema,
      GetNodesResponseSchema,
    );
    assert.equal(nodes.length, 1);
    assert.deepEqual(
      [nodes[0].name, nodes[0].address, nodes[0].state, nodes[0].tls?.enabled],
      ["node-1", `127.0.0.1:${server.port}`, NodeState.NODE_CONNECTED, false],
    );
  });
});

Deno.test("GetNamespaces lists the namespaces of flows, sorted by cluster and name", async () => {
  await withServer(async ({ call, flows }) => {
    const pod = (cluster: string, namespace: string) => makeIdentity({ numeric: 1000, cluster, namespace, pod: "p" });
    const udp = event({ ip_version: 4, protocol: 17 });
    flows.push(udp, { source: pod("some-cluster", "bbb"), destination: pod("", "zzz") });
    flows.push(udp, { source: pod("some-cluster", "aaa"), destination: pod("", "zzz") });
    const { messages: [{ namespaces }] } = await call(
      "/observer.Observer/GetNamespaces",
      GetFlowsRequestSchema,
      GetNamespacesResponseSchema,
    );
    assert.deepEqual(namespaces.map(({ cluster, namespace }) => `${cluster}/${namespace}`), [
      "/zzz",
      "some-cluster/aaa",
      "some-cluster/bbb",
    ]);
  });
});

Deno.test("GetAgentEvents sends history, GetDebugEvents nothing", async () => {
  const agentEvents = new AgentEventLog();
  agentEvents.started();
  await withServer(async ({ call }) => {
    const { code, messages } = await call(
      "/observer.Observer/GetAgentEvents",
      GetAgentEventsRequestSchema,
      GetAgentEventsResponseSchema,
    );
    assert.equal(code, 0);
    assert.deepEqual(messages.map(({ agentEvent }) => agentEvent?.notification.case), ["agentStart"]);
    const debug = await call(
      "/observer.Observer/GetDebugEvents",
      GetAgentEventsRequestSchema,
      GetAgentEventsResponseSchema,
    );
    assert.deepEqual([debug.code, debug.messages], [0, []]);
  }, { agentEvents });
});

Deno.test("Peer.Notify announces this node at the address that the client used", async () => {
  await withServer(async ({ call, server }) => {
    const { messages } = await call("/peer.Peer/Notify", GetFlowsRequestSchema, ChangeNotificationSchema, {}, {
      with: (stream) => stream.once("data", () => stream.close(8)),
    });
    assert.deepEqual(
      messages.map(({ name, address, type, tls }) => [name, address, type, tls]),
      [["node-1", `127.0.0.1:${server.port}`, ChangeNotificationType.PEER_ADDED, undefined]],
    );
  });
});

Deno.test("grpc.health.v1 answers for the server and the observer", async () => {
  await withServer(async ({ call, server }) => {
    const check = (service: string) =>
      call("/grpc.health.v1.Health/Check", HealthCheckRequestSchema, HealthCheckResponseSchema, { service });
    assert.deepEqual((await check("")).messages.map(({ status }) => status), [2]);
    server.health.serving = true;
    assert.deepEqual((await check("")).messages.map(({ status }) => status), [1]);
    for (const service of ["observer.Observer", "hubble.server.Observer"]) {
      assert.deepEqual((await check(service)).messages.map(({ status }) => status), [1], service);
    }
    assert.equal((await check("no.Such")).code, Code.NotFound);
  });
});

Deno.test("grpc.health.v1 Watch tells changes, and of a service that it does not know", async () => {
  await withServer(async ({ call, server }) => {
    const watch = (service: string, each: () => void) =>
      call("/grpc.health.v1.Health/Watch", HealthCheckRequestSchema, HealthCheckResponseSchema, { service }, {
        with: (stream) => {
          let seen = 0;
          stream.on("data", () => ++seen === 2 || service === "no.Such" ? stream.close(8) : each());
        },
      });
    const { messages } = await watch("observer.Observer", () => server.health.serving = true);
    assert.deepEqual(messages.map(({ status }) => status), [2, 1]);
    assert.deepEqual((await watch("no.Such", () => {})).messages.map(({ status }) => status), [3]);
  });
});

Deno.test("stop() ends followers with UNAVAILABLE after what is stored, and history in order", async () => {
  await withServer(async (running) => {
    push(running, 5);
    let stopped = Promise.resolve();
    const answer = running.call(FLOWS, GetFlowsRequestSchema, GetFlowsResponseSchema, { follow: true, number: 5n }, {
      with: (stream) =>
        stream.once("data", () => {
          push(running, 2, 100);
          stopped = running.server.stop();
        }),
    });
    const { code, text, messages } = await answer;
    await stopped;
    assert.deepEqual([code, text], [Code.Unavailable, "Server is stopping"]);
    assert.deepEqual(ports(messages), [0, 1, 2, 3, 4, 100, 101]);
    assert.equal(running.server.connections, 0);
  });
});

Deno.test("serveHubble() lets a connection have as many calls as it may, and the next when one ends", async () => {
  await withServer(
    async ({ session, server }) => {
      await rawCall(session, FLOWS);
      const follow = toBinary(GetFlowsRequestSchema, create(GetFlowsRequestSchema, { follow: true }));
      const ends: (() => void)[] = [];
      const calls = [1, 2].map(() =>
        rawCall(session, FLOWS, follow, { with: (stream) => ends.push(() => stream.close(8)) })
      );
      let served = false;
      const third = rawCall(session, FLOWS).then(() => served = true);
      await new Promise((resolve) => setTimeout(resolve, 200));
      assert.deepEqual([served, server.streams], [false, 2]);
      ends[0]();
      await third;
      ends[1]();
      await Promise.all(calls);
    },
    {},
    { limits: { maxStreams: 2 } },
  );
});

Deno.test("serveHubble() names a taken port", async () => {
  await withServer(async ({ server, flows }) => {
    await assert.rejects(
      serveHubble({ store: flows.store, record: flows.context, version: "" }, {
        address: "127.0.0.1",
        port: server.port,
      }),
      {
        message:
          `Cannot listen on 127.0.0.1:${server.port}: the address is in use; stop the other process or choose another --hubble-port`,
      },
    );
  });
});

Deno.test("serveHubble() serves IPv4 and IPv6 on one port", async () => {
  await withServer(
    async ({ server }) => {
      for (const host of ["127.0.0.1", "[::1]"]) {
        const session = await openSession(`http://${host}:${server.port}`);
        assert.equal((await rawCall(session, FLOWS)).code, 0);
        session.destroy();
      }
    },
    {},
    { address: "" },
  );
});
