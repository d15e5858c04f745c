import assert from "node:assert/strict";
import { create } from "@bufbuild/protobuf";
import { FlowSchema } from "../../proto/gen/flow/flow_pb.ts";
import { FlowStore } from "../flow/store.ts";
import { IdentityTable } from "../identity/table.ts";
import { printFlows } from "./printer.ts";

const context = {
  nodeName: "n1",
  uuidSalt: new Uint8Array(16),
  emitter: { name: "retina-agent", version: "0" },
  interfaceName: () => "",
};

function push(store: FlowStore, from: number, count: number): void {
  for (let i = from; i < from + count; i++) store.pushMessage(create(FlowSchema, { Summary: `flow ${i}` }));
  store.flushBatch();
}

const summaries = (text: string) =>
  [...text.matchAll(/\((flow \d+)\)|(EVENTS LOST.*)/g)].map((match) => match[1] ?? match[2]);

Deno.test("printFlows() writes new flows in order and ends with the signal", async () => {
  const store = new FlowStore({ capacity: 16, identities: new IdentityTable() });
  push(store, 0, 2);
  const stop = new AbortController();
  let out = "";
  const done = printFlows(store, context, (text) => {
    out += text;
    if (out.includes("(flow 4)")) stop.abort();
    return Promise.resolve();
  }, stop.signal);
  push(store, 2, 3);
  await done;
  assert.deepEqual(summaries(out), ["flow 2", "flow 3", "flow 4"]);
});

Deno.test("printFlows() says how many flows a slow reader missed", async () => {
  const store = new FlowStore({ capacity: 4, identities: new IdentityTable() });
  const stop = new AbortController();
  let out = "";
  const done = printFlows(store, context, (text) => {
    out += text;
    // While the first line is being written, ten flows go through a store of four.
    if (summaries(out).length === 1) push(store, 1, 10);
    else stop.abort();
    return Promise.resolve();
  }, stop.signal);
  push(store, 0, 1);
  await done;
  assert.match(out, /^\w{3} [ \d]\d [\d:.]{12} EVENTS LOST/m);
  assert.deepEqual(summaries(out), [
    "flow 0",
    "EVENTS LOST: HUBBLE_RING_BUFFER CPU(0) 6",
    "flow 7",
    "flow 8",
    "flow 9",
    "flow 10",
  ]);
});

Deno.test("printFlows() passes a failing write on", async () => {
  const store = new FlowStore({ capacity: 4, identities: new IdentityTable() });
  const failed = printFlows(
    store,
    context,
    () => Promise.reject(new Error("closed pipe")),
    new AbortController().signal,
  );
  push(store, 0, 1);
  await assert.rejects(failed, /closed pipe/);
});
