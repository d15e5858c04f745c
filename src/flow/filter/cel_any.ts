import type { Expr } from "./cel_check.ts";

type Kind = Expr["exprKind"];

/** The only field of a flow that holds a message of any type; the agent puts a google.protobuf.Struct into it. */
const FIELD = "extensions";

function call(like: Expr, name: string, args: Expr[]): Expr {
  const value = { $typeName: "cel.expr.Expr.Call" as const, function: name, args };
  return { ...like, exprKind: { case: "callExpr", value } };
}

/** `has(x.extensions) ? dyn(x.extensions) : null` */
function unpacked(select: Expr & { exprKind: Extract<Kind, { case: "selectExpr" }> }): Expr {
  const present: Expr = {
    ...select,
    exprKind: { case: "selectExpr", value: { ...select.exprKind.value, testOnly: true } },
  };
  const nothing: Expr = {
    ...select,
    exprKind: {
      case: "constExpr",
      value: { $typeName: "cel.expr.Constant", constantKind: { case: "nullValue", value: 0 } },
    },
  };
  return call(select, "_?_:_", [present, call(select, "dyn", [select]), nothing]);
}

function children(kind: Kind): Kind {
  switch (kind.case) {
    case "selectExpr":
      return kind.value.operand === undefined
        ? kind
        : { case: kind.case, value: { ...kind.value, operand: unpackExtensions(kind.value.operand) } };
    case "callExpr": {
      const { target, args } = kind.value, unpackedArgs = args.map(unpackExtensions);
      const whole = { ...kind.value, args: unpackedArgs };
      return { case: kind.case, value: target === undefined ? whole : { ...whole, target: unpackExtensions(target) } };
    }
    case "listExpr":
      return { case: kind.case, value: { ...kind.value, elements: kind.value.elements.map(unpackExtensions) } };
    case "structExpr": {
      const entries = kind.value.entries.map((entry) => ({
        ...entry,
        ...entry.value && { value: unpackExtensions(entry.value) },
      }));
      return { case: kind.case, value: { ...kind.value, entries } };
    }
    case "comprehensionExpr": {
      const { iterRange, accuInit, loopCondition, loopStep, result } = kind.value;
      const parts = { iterRange, accuInit, loopCondition, loopStep, result };
      const entries = Object.entries(parts).map(([name, part]) => [name, part && unpackExtensions(part)]);
      return { case: kind.case, value: { ...kind.value, ...Object.fromEntries(entries) } };
    }
    default:
      return kind;
  }
}

/**
 * Rewrites an expression so that Flow.extensions is what is packed in it, null when it is unset. CEL says that a message
 * of any type is unpacked wherever it is met; the library's evaluator does so for arguments of functions only.
 */
export function unpackExtensions(expr: Expr): Expr {
  const exprKind = children(expr.exprKind);
  if (exprKind.case === "selectExpr" && exprKind.value.field === FIELD && !exprKind.value.testOnly) {
    return unpacked({ ...expr, exprKind });
  }
  return { ...expr, exprKind };
}
