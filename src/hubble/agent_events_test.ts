import assert from "node:assert/strict";
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { AgentEventSchema, AgentEventType } from "../../proto/gen/flow/flow_pb.ts";
import { GetAgentEventsRequestSchema, type GetAgentEventsResponse } from "../../proto/gen/observer/observer_pb.ts";
import { IpCache } from "../identity/ip_cache.ts";
import { makeIdentity } from "../identity/make.ts";
import { IdentityTable } from "../identity/table.ts";
import { AgentEventLog, agentEvents, logIdentityChanges } from "./agent_events.ts";

/** A log whose events happen a second apart; the n-th has the CIDR "n". */
function logOf(count: number, capacity = 10): AgentEventLog {
  let now = 0;
  const log = new AgentEventLog(capacity, () => now);
  for (let i = 0; i < count; i++) {
    now = i * 1000;
    append(log, String(i));
  }
  return log;
}

function append(log: AgentEventLog, cidr: string): void {
  log.append(create(AgentEventSchema, {
    type: AgentEventType.IPCACHE_UPSERTED,
    notification: { case: "ipcacheUpdate", value: { cidr } },
  }));
}

function answer(
  log: AgentEventLog,
  request: MessageInitShape<typeof GetAgentEventsRequestSchema>,
  signal = new AbortController().signal,
): AsyncGenerator<GetAgentEventsResponse> {
  return agentEvents(log, create(GetAgentEventsRequestSchema, request), "node-1", signal);
}

const cidr = ({ agentEvent }: GetAgentEventsResponse) =>
  agentEvent?.notification.case === "ipcacheUpdate" ? agentEvent.notification.value.cidr : "";

async function cidrs(
  log: AgentEventLog,
  request: MessageInitShape<typeof GetAgentEventsRequestSchema>,
): Promise<string> {
  return (await Array.fromAsync(answer(log, request), cidr)).join("");
}

Deno.test("agentEvents() answers number, first, since and until", async () => {
  const log = logOf(12);
  const at = (seconds: number) => ({ seconds: BigInt(seconds) });
  assert.equal(await cidrs(log, {}), "234567891011");
  assert.equal(await cidrs(log, { number: 2n }), "1011");
  assert.equal(await cidrs(log, { number: 2n, first: true }), "23");
  assert.equal(await cidrs(log, { since: at(9) }), "91011");
  assert.equal(await cidrs(log, { until: at(4) }), "234");
  assert.equal(await cidrs(log, { since: at(5), number: 1n }), "5");
  assert.equal(await cidrs(log, { number: (1n << 64n) - 1n }), "234567891011");
});

Deno.test("agentEvents() names node and time", async () => {
  const { value } = await answer(logOf(3), { number: 1n }).next();
  assert.deepEqual([value.nodeName, value.time.seconds], ["node-1", 2n]);
});

Deno.test("agentEvents() follows, with history or without", async () => {
  for (const [number, expected] of [[0n, "new"], [1n, "2new"]] as const) {
    const log = logOf(3);
    const abort = new AbortController();
    const stream = answer(log, { follow: true, number }, abort.signal);
    const seen: string[] = [];
    const done = (async () => {
      for await (const response of stream) {
        seen.push(cidr(response));
        if (seen.at(-1) === "new") abort.abort();
      }
    })();
    setTimeout(() => append(log, "new"), 5);
    await done;
    assert.equal(seen.join(""), expected);
  }
});

Deno.test("agentEvents() goes on at the oldest event when it was overtaken", async () => {
  const log = logOf(3, 3);
  const stream = answer(log, {});
  assert.equal(cidr((await stream.next()).value), "0");
  for (const name of ["a", "b", "c"]) append(log, name);
  assert.equal((await Array.fromAsync(stream, cidr)).join(""), "");
});

Deno.test("AgentEventLog.started() tells when the agent started", async () => {
  const log = new AgentEventLog(10, () => 5000);
  log.started();
  const { value: { agentEvent } } = await answer(log, {}).next();
  assert.equal(agentEvent.type, AgentEventType.AGENT_STARTED);
  assert.equal(agentEvent.notification.value.time.seconds, 5n);
});

Deno.test("logIdentityChanges() logs changes once the cache is synchronized", async () => {
  const cache = new IpCache(new IdentityTable());
  const log = new AgentEventLog();
  const stop = logIdentityChanges(cache, log);
  const pod = (numeric: number, pod: string) => makeIdentity({ numeric, namespace: "ns", pod });
  cache.set("10.0.0.1", pod(1, "early"));
  cache.markSynced();
  cache.set("10.0.0.2", pod(7, "a"));
  cache.set("10.0.0.2", pod(8, "b"));
  cache.delete("10.0.0.2");
  cache.set("fd00::1", pod(9, "c"));
  stop();
  cache.set("10.0.0.3", pod(9, "late"));
  const events = await Array.fromAsync(answer(log, {}), ({ agentEvent }) => {
    assert.ok(agentEvent?.notification.case === "ipcacheUpdate");
    const { cidr, identity, oldIdentity, namespace, podName } = agentEvent.notification.value;
    return [AgentEventType[agentEvent.type], cidr, identity, oldIdentity, namespace, podName];
  });
  assert.deepEqual(events, [
    ["IPCACHE_UPSERTED", "10.0.0.2/32", 7, undefined, "ns", "a"],
    ["IPCACHE_UPSERTED", "10.0.0.2/32", 8, 7, "ns", "b"],
    ["IPCACHE_DELETED", "10.0.0.2/32", 8, undefined, "ns", "b"],
    ["IPCACHE_UPSERTED", "fd00::1/128", 9, undefined, "ns", "c"],
  ]);
});
