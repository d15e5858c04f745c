/**
 * Clients that give a server trouble, for as long as standard input is open:
 *
 * - one hundred followers, ten at a time, that connect, read a little and vanish, half of them without a word;
 * - one that never reads what it asked for;
 * - one over a slow link: it reads for 5 ms of each 100 ms;
 * - one that follows properly and notes when it is told of losses in the kernel's ring, by CPU.
 *
 *     followers.ts PORT      prints `following`, and the counts as JSON at the end
 */
import { Buffer } from "node:buffer";
import http2 from "node:http2";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { responseKind } from "../../bench/load/response_kind.ts";
import { LostEventSource } from "../../proto/gen/flow/flow_pb.ts";
import { GetFlowsRequestSchema, GetFlowsResponseSchema } from "../../proto/gen/observer/observer_pb.ts";

const counts = { flows: 0, kernelLost: 0, readerLost: 0, lostAt: {} as Record<string, number[]>, vanished: 0, slow: 0 };
let stopping = false;

function follow() {
  const session = http2.connect(`http://127.0.0.1:${Deno.args[0]}`, { settings: { initialWindowSize: 4 << 20 } });
  session.on("error", () => {});
  const stream = session.request({
    ":method": "POST",
    ":path": "/observer.Observer/GetFlows",
    "content-type": "application/grpc",
    te: "trailers",
  });
  stream.on("error", () => {});
  const body = toBinary(GetFlowsRequestSchema, create(GetFlowsRequestSchema, { follow: true }));
  const frame = Buffer.alloc(5 + body.length);
  frame.writeUInt32BE(body.length, 1);
  frame.set(body, 5);
  stream.end(frame);
  return { session, stream };
}

function proper(): void {
  const { session, stream } = follow();
  session.on("connect", () => session.setLocalWindowSize(16 << 20));
  stream.on("response", () => console.log("following"));
  let rest = Buffer.alloc(0);
  stream.on("data", (data: Buffer) => {
    const all = Buffer.concat([rest, data]);
    let at = 0;
    for (
      ;
      at + 5 <= all.length && at + 5 + all.readUInt32BE(at + 1) <= all.length;
      at += 5 + all.readUInt32BE(at + 1)
    ) {
      note(all.subarray(at + 5, at + 5 + all.readUInt32BE(at + 1)));
    }
    rest = all.subarray(at);
  });
}

function note(message: Buffer): void {
  if (responseKind(message) === "flow") {
    counts.flows++;
    return;
  }
  const { responseTypes } = fromBinary(GetFlowsResponseSchema, message);
  if (responseTypes.case !== "lostEvents") return;
  const { source, numEventsLost, cpu } = responseTypes.value;
  if (source === LostEventSource.PERF_EVENT_RING_BUFFER) {
    counts.kernelLost += Number(numEventsLost);
    (counts.lostAt[`${cpu}`] ??= []).push(performance.now());
  } else {
    counts.readerLost += Number(numEventsLost);
  }
}

async function vanishing(): Promise<void> {
  for (let index = 0; index < 10 && !stopping; index++) {
    const { session, stream } = follow();
    stream.resume();
    await sleep(100 + Math.random() * 200);
    if (index % 2 === 0) stream.close(http2.constants.NGHTTP2_CANCEL);
    session.destroy();
    counts.vanished++;
  }
}

async function slow(): Promise<void> {
  const { stream } = follow();
  stream.on("data", (data: Buffer) => void (counts.slow += data.length));
  while (!stopping) {
    await sleep(5);
    stream.pause();
    await sleep(95);
    stream.resume();
  }
}

function sleep(milliseconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}

proper();
follow().stream.pause();
for (let worker = 0; worker < 10; worker++) void vanishing();
void slow();
for await (const _ of Deno.stdin.readable);
stopping = true;
console.log(JSON.stringify(counts));
Deno.exit(0);
