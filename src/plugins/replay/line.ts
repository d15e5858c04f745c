/** One line of a flow log: Hubble's exporter form, `hubble observe -o json`, or a bare Flow as older versions printed it. */
import { createRegistry, fromJson, type JsonObject, type JsonValue } from "@bufbuild/protobuf";
import { StructSchema, type Timestamp, TimestampSchema } from "@bufbuild/protobuf/wkt";
import {
  type Endpoint,
  EndpointSchema,
  type Flow,
  FlowSchema,
  type LostEvent,
  LostEventSchema,
} from "../../../proto/gen/flow/flow_pb.ts";

/** What a line holds; `other` is an event that a flow store has no place for (agent, debug, node status). */
export type ReplayEvent =
  | { readonly kind: "flow"; readonly flow: Flow; readonly time: Timestamp }
  | { readonly kind: "lost"; readonly lost: LostEvent; readonly time: Timestamp }
  | { readonly kind: "other" };

/** Newer versions of Hubble write fields and enum values that this one does not know: they are left out. */
const OPTIONS = { ignoreUnknownFields: true, registry: createRegistry(StructSchema) };
const KNOWN_EXTENSION = /(^|\/)google\.protobuf\.Struct$/;
/** Keys of an event's oneof, as proto names and as JSON names. */
const OTHER = ["node_status", "nodeStatus", "agent_event", "agentEvent", "debug_event", "debugEvent"];
const FLOW_KEYS = ["IP", "l4", "verdict", "source", "destination"];
/** Endpoints that are shared between flows; a cluster's pods, and a bound for a hostile file. */
const MAX_ENDPOINTS = 20_000;

/**
 * Reads lines. Most flows of a log have their endpoints in common: those are decoded once and shared, which halves both time and
 * memory.
 */
export class LineReader {
  readonly #endpoints = new Map<string, Endpoint>();

  /** @throws Error that says what is wrong with the line. */
  read(line: string): ReplayEvent {
    const json = parseObject(line);
    if (isObject(json.flow)) return this.#flow(json.flow, json);
    const lost = json.lost_events ?? json.lostEvents;
    if (isObject(lost)) {
      return { kind: "lost", lost: fromJson(LostEventSchema, lost, OPTIONS), time: timeOf(json.time) };
    }
    if (OTHER.some((key) => key in json)) return { kind: "other" };
    if (FLOW_KEYS.some((key) => key in json)) return this.#flow(json, json);
    throw new Error("neither a flow nor another event of Hubble");
  }

  #flow(json: JsonObject, envelope: JsonObject): ReplayEvent {
    const { source, destination, extensions, ...rest } = json;
    const flow = fromJson(FlowSchema, withExtensions(rest, extensions), OPTIONS);
    if (isObject(source)) flow.source = this.#endpoint(source);
    if (isObject(destination)) flow.destination = this.#endpoint(destination);
    flow.time ??= timeOf(envelope.time);
    const nodeName = envelope.node_name ?? envelope.nodeName;
    if (flow.nodeName === "" && typeof nodeName === "string") flow.nodeName = nodeName;
    return { kind: "flow", flow, time: flow.time };
  }

  #endpoint(json: JsonObject): Endpoint {
    const key = JSON.stringify(json);
    let endpoint = this.#endpoints.get(key);
    if (endpoint === undefined) {
      endpoint = fromJson(EndpointSchema, json, OPTIONS);
      if (this.#endpoints.size >= MAX_ENDPOINTS) this.#endpoints.clear();
      this.#endpoints.set(key, endpoint);
    }
    return endpoint;
  }
}

/** An extension of a type that this program does not know cannot be decoded, and does not spoil the flow. */
function withExtensions(flow: JsonObject, extensions: JsonValue | undefined): JsonObject {
  const type = isObject(extensions) ? extensions["@type"] : undefined;
  return typeof type === "string" && KNOWN_EXTENSION.test(type) ? { ...flow, extensions: extensions! } : flow;
}

function timeOf(json: JsonValue | undefined): Timestamp {
  if (json === undefined) throw new Error("no time");
  return fromJson(TimestampSchema, json);
}

function parseObject(line: string): JsonObject {
  let json: JsonValue;
  try {
    json = JSON.parse(line);
  } catch {
    throw new Error("no JSON");
  }
  if (!isObject(json)) throw new Error("no JSON object");
  return json;
}

function isObject(json: JsonValue | undefined): json is JsonObject {
  return typeof json === "object" && json !== null && !Array.isArray(json);
}
