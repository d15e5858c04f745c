import type { Registry } from "@bufbuild/protobuf";
import type { CelEnv, parse } from "@bufbuild/cel";
import { declareFunctions } from "./cel_functions.ts";
import * as type from "./cel_type.ts";
import { assign, formatType, resolve, type Type } from "./cel_type.ts";
import { FilterError } from "./error.ts";

/** A parsed expression. */
export type Expr = ReturnType<typeof parse>["expr"];
type Select = Extract<Expr["exprKind"], { case: "selectExpr" }>["value"];
type Call = Extract<Expr["exprKind"], { case: "callExpr" }>["value"];
type Struct = Extract<Expr["exprKind"], { case: "structExpr" }>["value"];
type Comprehension = Extract<Expr["exprKind"], { case: "comprehensionExpr" }>["value"];

/** Names of types that are values themselves. */
const TYPE_NAMES: Record<string, Type> = {
  bool: type.BOOL,
  int: type.INT,
  uint: type.UINT,
  double: type.DOUBLE,
  string: type.STRING,
  bytes: type.BYTES,
  null_type: type.NULL,
  list: { kind: "list", element: type.DYN },
  map: { kind: "map", key: type.DYN, value: type.DYN },
  type: { kind: "type", of: type.DYN },
};

const CONSTANTS: Record<string, Type> = {
  boolValue: type.BOOL,
  int64Value: type.INT,
  uint64Value: type.UINT,
  doubleValue: type.DOUBLE,
  stringValue: type.STRING,
  bytesValue: type.BYTES,
  nullValue: type.NULL,
};

/** One mistake: what, at which node of the expression, and which character behind the node's place to point at. */
export interface Mistake {
  readonly id: bigint;
  readonly text: string;
  readonly mark: string;
}

/** Variables in scope, the innermost first. */
interface Scope {
  readonly name: string;
  readonly type: Type;
  readonly outer: Scope | undefined;
}

function qualifiedName(expr: Expr): string | undefined {
  if (expr.exprKind.case === "identExpr") return expr.exprKind.value.name;
  if (expr.exprKind.case !== "selectExpr") return undefined;
  const { operand, field, testOnly } = expr.exprKind.value;
  const prefix = testOnly || operand === undefined ? undefined : qualifiedName(operand);
  return prefix === undefined ? undefined : `${prefix}.${field}`;
}

/**
 * Checks the types of expressions, which the library's evaluator does not: it finds a mistake when it meets a flow, and
 * then the filter matches nothing. The rules are those of cel-go's checker, which Hubble uses.
 */
export class Checker {
  readonly #env: CelEnv;
  readonly #variables: Scope;
  readonly #functions: ReturnType<typeof declareFunctions>;
  #mistakes: Mistake[] = [];

  /** @param registry of the messages and enums that expressions can name */
  constructor(env: CelEnv, readonly registry: Registry, variables: Record<string, Type>) {
    this.#env = env;
    this.#functions = declareFunctions(env);
    let scope: Scope | undefined;
    for (const [name, type] of Object.entries(variables)) scope = { name, type, outer: scope };
    if (scope === undefined) throw new FilterError("no variables");
    this.#variables = scope;
  }

  /** The type of an expression, and what is wrong with it. */
  check(expr: Expr): { type: Type; mistakes: readonly Mistake[] } {
    this.#mistakes = [];
    return { type: this.#check(expr, this.#variables), mistakes: this.#mistakes };
  }

  #mistake(id: bigint, text: string, mark = ""): Type {
    this.#mistakes.push({ id, text, mark });
    return type.ERROR;
  }

  #undeclared(id: bigint, name: string, mark = ""): Type {
    return this.#mistake(id, `undeclared reference to '${name}' (in container '${this.#env.namespace}')`, mark);
  }

  #check(expr: Expr, scope: Scope): Type {
    const { id, exprKind: kind } = expr;
    switch (kind.case) {
      case "constExpr":
        return CONSTANTS[kind.value.constantKind.case ?? ""] ?? type.DYN;
      case "identExpr":
        return this.#lookup(kind.value.name, scope) ?? this.#undeclared(id, kind.value.name);
      case "selectExpr":
        return this.#select(expr, kind.value, scope);
      case "callExpr":
        return this.#call(id, kind.value, scope);
      case "listExpr":
        return { kind: "list", element: this.#join(kind.value.elements.map((one) => this.#check(one, scope))) };
      case "structExpr":
        return kind.value.messageName === "" ? this.#map(kind.value, scope) : this.#message(id, kind.value, scope);
      case "comprehensionExpr":
        return this.#comprehension(kind.value, scope);
      default:
        return this.#mistake(id, "unexpected expression");
    }
  }

  /** Elements of different types make a list of anything. */
  #join(types: readonly Type[]): Type {
    const [first, ...others] = types;
    if (first === undefined) return type.variable();
    return others.every((other) => assign([first], [other])) ? first : type.DYN;
  }

  /** Variables of comprehensions are found by their plain name, everything else in the container first. */
  #lookup(name: string, scope: Scope): Type | undefined {
    for (let at: Scope | undefined = scope; at !== undefined; at = at.outer) if (at.name === name) return at.type;
    const plain = name.startsWith(".") ? name.slice(1) : name;
    const candidates = name.startsWith(".") ? [plain] : [`${this.#env.namespace}.${name}`, name];
    for (const candidate of candidates) {
      const found = this.#global(candidate);
      if (found !== undefined) return found;
    }
    return undefined;
  }

  #global(name: string): Type | undefined {
    if (Object.hasOwn(TYPE_NAMES, name)) return { kind: "type", of: TYPE_NAMES[name] };
    const desc = this.registry.getMessage(name);
    if (desc !== undefined) return { kind: "type", of: type.messageType(desc) };
    const dot = name.lastIndexOf(".");
    const values = this.registry.getEnum(name.slice(0, Math.max(0, dot)))?.values ?? [];
    return values.some((value) => value.name === name.slice(dot + 1)) ? type.INT : undefined;
  }

  #select(expr: Expr, { operand, field, testOnly }: Select, scope: Scope): Type {
    const name = qualifiedName(expr);
    const named = name === undefined ? undefined : this.#lookup(name, scope);
    if (named !== undefined) return named;
    const selected = this.#field(expr.id, resolve(this.#check(operand!, scope)), field, testOnly ? "(" : "");
    return testOnly ? type.BOOL : selected;
  }

  #field(id: bigint, of: Type, name: string, mark: string): Type {
    switch (of.kind) {
      case "map":
        return of.value;
      case "message": {
        const field = of.desc.fields.find((one) => one.name === name);
        return field === undefined ? this.#mistake(id, `undefined field '${name}'`, mark) : type.fieldType(field);
      }
      case "variable":
        assign([of], [type.DYN]);
        return type.DYN;
      case "dyn":
      case "error":
        return type.DYN;
      default:
        this.#mistake(id, `type '${formatType(of)}' does not support field selection`, mark);
        return type.DYN;
    }
  }

  #call(id: bigint, { function: name, target, args }: Call, scope: Scope): Type {
    // The parser has made a test of every has() whose argument is a field.
    if (name === "has" && target === undefined && args.length === 1) {
      return this.#mistake(args[0].id, "invalid argument to has() macro");
    }
    if (name === "_&&_" || name === "_||_") return this.#logic(args, scope);
    const types = args.map((arg) => this.#check(arg, scope));
    if (target !== undefined) types.unshift(this.#check(target, scope));
    const overloads = this.#functions.get(name)?.(), mark = /^[a-z]/i.test(name) ? "(" : "";
    if (overloads === undefined) return this.#undeclared(id, name, "(");
    let result: Type | undefined;
    for (const overload of overloads) {
      if (overload.member !== (target !== undefined) || !assign(types, overload.args)) continue;
      const one = resolve(overload.result);
      if (result === undefined) result = one;
      else if (formatType(result) !== formatType(one)) result = type.DYN;
    }
    if (result !== undefined) return result;
    const shown = types.map(formatType);
    const applied = target === undefined ? `(${shown.join(", ")})` : `${shown[0]}.(${shown.slice(1).join(", ")})`;
    return this.#mistake(id, `found no matching overload for '${name}' applied to '${applied}'`, mark);
  }

  #logic(args: readonly Expr[], scope: Scope): Type {
    for (const arg of args) this.#expect(arg, type.BOOL, scope);
    return type.BOOL;
  }

  #expect(expr: Expr, wanted: Type, scope: Scope): void {
    const found = this.#check(expr, scope);
    if (!assign([found], [wanted])) {
      this.#mistake(expr.id, `expected type '${formatType(wanted)}' but found '${formatType(found)}'`);
    }
  }

  #map({ entries }: Struct, scope: Scope): Type {
    const keys: Type[] = [], values: Type[] = [];
    for (const { keyKind, value } of entries) {
      if (keyKind.case === "mapKey") keys.push(this.#check(keyKind.value, scope));
      if (value !== undefined) values.push(this.#check(value, scope));
    }
    return { kind: "map", key: this.#join(keys), value: this.#join(values) };
  }

  #message(id: bigint, { messageName, entries }: Struct, scope: Scope): Type {
    const named = this.#lookup(messageName, scope);
    if (named === undefined) return this.#undeclared(id, messageName, "{");
    if (named.kind !== "type") return this.#mistake(id, `'${formatType(named)}' is not a type`, "{");
    for (const { id: entry, keyKind, value } of entries) {
      if (keyKind.case !== "fieldKey" || value === undefined) continue;
      const found = this.#check(value, scope);
      if (named.of.kind !== "message") continue;
      const wanted = this.#field(entry, named.of, keyKind.value, ":");
      if (!assign([found], [wanted])) {
        const expected = `expected type of field '${keyKind.value}' is '${formatType(wanted)}'`;
        this.#mistake(entry, `${expected} but provided type is '${formatType(found)}'`, ":");
      }
    }
    return named.of;
  }

  #comprehension(value: Comprehension, scope: Scope): Type {
    const { iterVar, iterRange, accuVar, accuInit, loopCondition, loopStep, result } = value;
    const range = resolve(this.#check(iterRange!, scope));
    const accumulated: Type = this.#check(accuInit!, scope);
    const outer: Scope = { name: accuVar, type: accumulated, outer: scope };
    const inner: Scope = { name: iterVar, type: this.#elementOf(iterRange!.id, range), outer };
    this.#expect(loopCondition!, type.BOOL, inner);
    this.#expect(loopStep!, accumulated, inner);
    return this.#check(result!, outer);
  }

  #elementOf(id: bigint, range: Type): Type {
    switch (range.kind) {
      case "list":
        return range.element;
      case "map":
        return range.key;
      case "variable":
        assign([range], [type.DYN]);
        return type.DYN;
      case "dyn":
      case "error":
        return type.DYN;
      default: {
        const wanted = "must be list, map, or dynamic";
        return this.#mistake(
          id,
          `expression of type '${formatType(range)}' cannot be range of a comprehension (${wanted})`,
        );
      }
    }
  }
}
