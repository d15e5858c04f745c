import { create, type DescField, type DescMessage, type Message } from "@bufbuild/protobuf";
import { type Flow, FlowSchema } from "../../proto/gen/flow/flow_pb.ts";

/**
 * Field masks over Flow, as Hubble understands them: paths of field names as in the .proto file, `IP.source`. A path
 * may not go through a repeated field. A message that a path goes into is present in the result, also when the flow
 * has none.
 */

/** What of a message is wanted: by field name, the part of the field's message, or null for all of it. */
export type MaskTree = ReadonlyMap<string, MaskTree | null>;

/** A mask that was checked. */
export interface FieldMask {
  readonly tree: MaskTree;
  /** Sorted paths, none of them inside another: equal masks have equal keys. */
  readonly key: string;
}

/** A path that Flow does not have. */
export class FieldMaskError extends Error {
  override readonly name = "FieldMaskError";
}

/**
 * Checks the paths of a mask. An empty list means everything: undefined.
 *
 * @throws {FieldMaskError} with Hubble's text and the path that does not exist.
 */
export function compileFieldMask(paths: readonly string[]): FieldMask | undefined {
  for (const path of paths) {
    if (!exists(FlowSchema, path.split("."))) {
      throw new FieldMaskError(`invalid fieldmask: Flow has no field "${path}"`);
    }
  }
  if (paths.length === 0) return undefined;
  const sorted = [...new Set(paths)].sort();
  const outermost = sorted.filter((path) => !sorted.some((other) => path.startsWith(`${other}.`)));
  return { tree: toTree(outermost.map((path) => path.split("."))), key: outermost.join(",") };
}

/** A copy of the flow with what the mask asks for; parts are shared with the original. */
export function applyFieldMask(mask: FieldMask, flow: Flow): Flow {
  return pick(FlowSchema, mask.tree, flow) as Flow;
}

function exists(message: DescMessage, [name, ...rest]: string[]): boolean {
  const field = message.fields.find((candidate) => candidate.name === name);
  if (field === undefined || rest.length === 0) return field !== undefined;
  return field.fieldKind === "message" && exists(field.message, rest);
}

function toTree(paths: readonly string[][]): MaskTree {
  const groups = Map.groupBy(paths, ([name]) => name);
  return new Map(
    [...groups].map((
      [name, group],
    ) => [name, group[0].length === 1 ? null : toTree(group.map((path) => path.slice(1)))]),
  );
}

type Fields = Record<string, unknown>;
interface OneofValue {
  case: string | undefined;
  value?: unknown;
}

/** Descriptors of the fields that a tree names; looked up once per tree. */
const fieldsOf = new WeakMap<MaskTree, readonly DescField[]>();

function pick(desc: DescMessage, tree: MaskTree, from: Message | undefined): Message {
  let fields = fieldsOf.get(tree);
  if (fields === undefined) fieldsOf.set(tree, fields = desc.fields.filter((field) => tree.has(field.name)));
  const to = create(desc);
  for (const field of fields) {
    pickField(field, tree.get(field.name) ?? null, from as Fields | undefined, to as Message & Fields);
  }
  return to;
}

function pickField(field: DescField, part: MaskTree | null, from: Fields | undefined, to: Fields): void {
  if (field.oneof !== undefined) {
    const chosen = from?.[field.oneof.localName] as OneofValue | undefined;
    if (chosen?.case !== field.localName) return;
    const value = part === null ? chosen.value : pickMessage(field, part, chosen.value);
    to[field.oneof.localName] = { case: field.localName, value };
  } else if (part !== null) {
    to[field.localName] = pickMessage(field, part, from?.[field.localName]);
  } else if (from?.[field.localName] !== undefined) {
    to[field.localName] = from[field.localName];
  }
}

function pickMessage(field: DescField, part: MaskTree, from: unknown): unknown {
  if (field.message === undefined) throw new TypeError(`Cannot go into ${field.name}: it is no message`);
  // The library represents google.protobuf.BoolValue by a boolean; going into it makes it present.
  if (field.message.typeName === "google.protobuf.BoolValue") return from ?? false;
  return pick(field.message, part, from as Message | undefined);
}
