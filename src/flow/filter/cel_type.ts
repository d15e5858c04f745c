import { type DescField, type DescMessage, ScalarType } from "@bufbuild/protobuf";
import type { CelType } from "@bufbuild/cel";

/** A type of CEL's type checker (https://github.com/google/cel-spec/blob/master/doc/langdef.md#gradual-type-checking). */
export type Type =
  | { readonly kind: "bool" | "int" | "uint" | "double" | "string" | "bytes" | "null" | "timestamp" | "duration" }
  /** Any type at all: what is known only when the expression runs. */
  | { readonly kind: "dyn" }
  /** The type of what could not be checked; it fits everywhere, so that one mistake is reported once. */
  | { readonly kind: "error" }
  /** A scalar or null: google.protobuf.BoolValue and its like. */
  | { readonly kind: "wrapper"; readonly of: Type }
  | { readonly kind: "list"; readonly element: Type }
  | { readonly kind: "map"; readonly key: Type; readonly value: Type }
  | { readonly kind: "message"; readonly desc: DescMessage }
  | { readonly kind: "type"; readonly of: Type }
  /** Not known yet: the element of an empty list, or a parameter of an overload. */
  | Variable;

interface Variable {
  readonly kind: "variable";
  bound: Type | undefined;
}

export const BOOL: Type = { kind: "bool" };
export const INT: Type = { kind: "int" };
export const UINT: Type = { kind: "uint" };
export const DOUBLE: Type = { kind: "double" };
export const STRING: Type = { kind: "string" };
export const BYTES: Type = { kind: "bytes" };
export const NULL: Type = { kind: "null" };
export const DYN: Type = { kind: "dyn" };
export const ERROR: Type = { kind: "error" };
export const TIMESTAMP: Type = { kind: "timestamp" };
export const DURATION: Type = { kind: "duration" };

/** A fresh unknown. */
export function variable(): Type {
  return { kind: "variable", bound: undefined };
}

/** A type without the unknowns in front that are known by now. */
export function resolve(type: Type): Type {
  while (type.kind === "variable" && type.bound !== undefined) type = type.bound;
  return type;
}

function occurs(unknown: Type, type: Type): boolean {
  const t = resolve(type);
  if (t === unknown) return true;
  if (t.kind === "list") return occurs(unknown, t.element);
  if (t.kind === "map") return occurs(unknown, t.key) || occurs(unknown, t.value);
  return t.kind === "type" && occurs(unknown, t.of);
}

function bind(unknown: Variable, type: Type, trail: Variable[]): boolean {
  if (occurs(unknown, type)) return false;
  unknown.bound = type;
  trail.push(unknown);
  return true;
}

function isNullable(type: Type): boolean {
  return ["null", "wrapper", "message", "timestamp", "duration"].includes(type.kind);
}

function fits(from: Type, to: Type, trail: Variable[]): boolean {
  const a = resolve(from), b = resolve(to);
  if (a === b) return true;
  if (b.kind === "variable") return bind(b, a, trail);
  if (a.kind === "variable") return bind(a, b, trail);
  if ([a, b].some(({ kind }) => kind === "dyn" || kind === "error")) return true;
  if (a.kind === "null") return isNullable(b);
  if (b.kind === "null") return isNullable(a);
  if (a.kind === "wrapper" || b.kind === "wrapper") {
    return (a.kind === "wrapper" ? a.of.kind : a.kind) === (b.kind === "wrapper" ? b.of.kind : b.kind);
  }
  if (a.kind === "list" && b.kind === "list") return fits(a.element, b.element, trail);
  if (a.kind === "map" && b.kind === "map") return fits(a.key, b.key, trail) && fits(a.value, b.value, trail);
  if (a.kind === "message" && b.kind === "message") return a.desc.typeName === b.desc.typeName;
  return a.kind === b.kind;
}

/** Whether values of the types `from` can stand where `to` are expected. Unknowns become known only when they can. */
export function assign(from: readonly Type[], to: readonly Type[]): boolean {
  const trail: Variable[] = [];
  if (from.length === to.length && from.every((type, i) => fits(type, to[i], trail))) return true;
  for (const unknown of trail) unknown.bound = undefined;
  return false;
}

/** A type as cel-go's messages write it. */
export function formatType(type: Type): string {
  const t = resolve(type);
  switch (t.kind) {
    case "wrapper":
    case "type":
      return `${t.kind}(${formatType(t.of)})`;
    case "list":
      return `list(${formatType(t.element)})`;
    case "map":
      return `map(${formatType(t.key)}, ${formatType(t.value)})`;
    case "message":
      return t.desc.typeName;
    case "variable":
      return "dyn";
    case "error":
      return "!error!";
    default:
      return t.kind;
  }
}

/** The type of a value of a message, and of an expression that names one. */
export function messageType(desc: DescMessage): Type {
  switch (desc.typeName) {
    case "google.protobuf.Timestamp":
      return TIMESTAMP;
    case "google.protobuf.Duration":
      return DURATION;
    case "google.protobuf.Any":
    case "google.protobuf.Value":
      return DYN;
    case "google.protobuf.Struct":
      return { kind: "map", key: STRING, value: DYN };
    case "google.protobuf.ListValue":
      return { kind: "list", element: DYN };
  }
  const isWrapper = /^google\.protobuf\.\w+Value$/.test(desc.typeName);
  return isWrapper ? { kind: "wrapper", of: fieldType(desc.fields[0]) } : { kind: "message", desc };
}

function scalarType(scalar: ScalarType): Type {
  switch (scalar) {
    case ScalarType.BOOL:
      return BOOL;
    case ScalarType.STRING:
      return STRING;
    case ScalarType.BYTES:
      return BYTES;
    case ScalarType.DOUBLE:
    case ScalarType.FLOAT:
      return DOUBLE;
    case ScalarType.UINT32:
    case ScalarType.UINT64:
    case ScalarType.FIXED32:
    case ScalarType.FIXED64:
      return UINT;
    default:
      return INT;
  }
}

/** The type of a message's field; enums are numbers. */
export function fieldType(field: DescField): Type {
  const single = field.enum !== undefined ? INT : field.message !== undefined ? messageType(field.message) : undefined;
  switch (field.fieldKind) {
    case "list":
      return { kind: "list", element: single ?? scalarType(field.scalar!) };
    case "map":
      return { kind: "map", key: scalarType(field.mapKey), value: single ?? scalarType(field.scalar!) };
    default:
      return single ?? scalarType(field.scalar!);
  }
}

/** A type of the library's function declarations as one of ours. */
export function fromCelType(type: CelType): Type {
  switch (type.kind) {
    case "list":
      return { kind: "list", element: fromCelType(type.element) };
    case "map":
      return { kind: "map", key: fromCelType(type.key), value: fromCelType(type.value) };
    case "object":
      return type.desc === undefined ? DYN : messageType(type.desc);
  }
  switch (type.name) {
    case "null_type":
      return NULL;
    case "type":
      return { kind: "type", of: DYN };
    default:
      return { kind: type.name };
  }
}
