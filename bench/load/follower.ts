/**
 * Follows GetFlows from now on and counts: flows, and what LostEvents say was lost, by source. It walks the gRPC
 * prefixes and decodes lost events only, so that the reader is not what the bench measures.
 *
 *     follower.ts PORT      prints `following`, and the counts as JSON when its standard input closes
 */
import { Buffer } from "node:buffer";
import http2 from "node:http2";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { LostEventSource } from "../../proto/gen/flow/flow_pb.ts";
import { GetFlowsRequestSchema, GetFlowsResponseSchema } from "../../proto/gen/observer/observer_pb.ts";
import { responseKind } from "./response_kind.ts";

const WINDOW = 16 << 20;
const PREFIX = 5;

const counts = { flows: 0, bytes: 0, lost: {} as Record<string, number>, status: "" };

function message(bytes: Uint8Array): void {
  if (responseKind(bytes) === "flow") {
    counts.flows++;
    return;
  }
  const { responseTypes } = fromBinary(GetFlowsResponseSchema, bytes);
  if (responseTypes.case !== "lostEvents") return;
  const source = LostEventSource[responseTypes.value.source] ?? "UNKNOWN";
  counts.lost[source] = (counts.lost[source] ?? 0) + Number(responseTypes.value.numEventsLost);
}

/** What is left of a message that the next chunk continues. */
let rest: Buffer = Buffer.alloc(0);
function chunk(data: Buffer): void {
  counts.bytes += data.length;
  const all = rest.length === 0 ? data : Buffer.concat([rest, data]);
  let at = 0;
  while (at + PREFIX <= all.length) {
    const end = at + PREFIX + all.readUInt32BE(at + 1);
    if (end > all.length) break;
    message(all.subarray(at + PREFIX, end));
    at = end;
  }
  rest = all.subarray(at);
}

const session = http2.connect(`http://127.0.0.1:${Deno.args[0]}`, { settings: { initialWindowSize: WINDOW } });
session.on("connect", () => session.setLocalWindowSize(WINDOW));
const stream = session.request({
  ":method": "POST",
  ":path": "/observer.Observer/GetFlows",
  "content-type": "application/grpc",
  te: "trailers",
});
stream.on("data", chunk);
stream.on("trailers", (headers) => counts.status = `${headers["grpc-status"]} ${headers["grpc-message"] ?? ""}`.trim());
const request = toBinary(GetFlowsRequestSchema, create(GetFlowsRequestSchema, { follow: true }));
const frame = Buffer.alloc(PREFIX + request.length);
frame.writeUInt32BE(request.length, 1);
frame.set(request, PREFIX);
stream.end(frame);
stream.on("response", () => console.log("following"));

for await (const _ of Deno.stdin.readable);
console.log(JSON.stringify(counts));
Deno.exit(0);
