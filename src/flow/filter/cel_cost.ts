import type { Expr } from "./cel_check.ts";

type Kind<Case extends string> = Extract<Expr["exprKind"], { case: Case }>["value"];

/** How much there is to walk through in a value: its elements, and what there is in each of them. */
interface Shape {
  readonly length: number;
  readonly element: Shape | undefined;
}

/** What evaluating an expression takes, and what comes out. */
interface Cost {
  readonly steps: number;
  readonly shape: Shape | undefined;
}

/** Elements that a list of a flow is taken to have: labels, names, workloads. */
const UNKNOWN: Shape = { length: 16, element: undefined };
/** A regular expression may have to be compiled for a flow. */
const MATCHES_STEPS = 100;
const NOTHING: Cost = { steps: 1, shape: undefined };

/** Shapes of the variables of comprehensions. */
type Scope = ReadonlyMap<string, Shape | undefined>;

function larger(a: Shape | undefined, b: Shape | undefined): Shape | undefined {
  if (a === undefined || b === undefined) return a ?? b;
  return { length: Math.max(a.length, b.length), element: larger(a.element, b.element) };
}

function largest(costs: readonly Cost[]): Shape | undefined {
  return costs.reduce<Shape | undefined>((shape, cost) => larger(shape, cost.shape), undefined);
}

function sum(costs: readonly Cost[]): number {
  return costs.reduce((steps, cost) => steps + cost.steps, 1);
}

/** Everything in a value, however deep. */
function elements(shape: Shape | undefined): number {
  return shape === undefined ? 0 : shape.length * (1 + elements(shape.element));
}

function costOfCall({ function: name, target, args }: Kind<"callExpr">, scope: Scope): Cost {
  const costs = (target === undefined ? args : [target, ...args]).map((arg) => costOf(arg, scope));
  const steps = sum(costs), shape = largest(costs), [left, right] = costs.map((cost) => cost.shape);
  switch (name) {
    case "matches":
      return { steps: steps + MATCHES_STEPS, shape };
    case "_[_]":
      return { steps, shape: left?.element ?? UNKNOWN };
    case "@in":
    case "_==_":
    case "_!=_":
      return { steps: steps + elements(left) + elements(right), shape: undefined };
    case "_+_":
      return { steps, shape: shape && { ...shape, length: (left?.length ?? 0) + (right?.length ?? 0) } };
    default:
      return { steps, shape };
  }
}

function costOfStruct({ entries }: Kind<"structExpr">, scope: Scope): Cost {
  const costs = entries.flatMap(({ keyKind, value }) => [
    keyKind.case === "mapKey" ? costOf(keyKind.value, scope) : NOTHING,
    costOf(value, scope),
  ]);
  return { steps: sum(costs), shape: { length: entries.length, element: largest(costs) } };
}

function costOfComprehension(value: Kind<"comprehensionExpr">, scope: Scope): Cost {
  const range = costOf(value.iterRange, scope), init = costOf(value.accuInit, scope);
  const length = (range.shape ?? UNKNOWN).length;
  // map() and filter() add to the accumulator once in each turn.
  const grown = init.shape && { length, element: init.shape.element };
  const inner = new Map(scope).set(value.iterVar, range.shape?.element ?? UNKNOWN).set(value.accuVar, grown);
  const step = costOf(value.loopStep, inner);
  const turn = 1 + costOf(value.loopCondition, inner).steps + step.steps;
  const result = costOf(value.result, new Map(scope).set(value.accuVar, step.shape));
  return { steps: range.steps + init.steps + length * turn + result.steps, shape: result.shape };
}

function costOf(expr: Expr | undefined, scope: Scope): Cost {
  const kind = expr?.exprKind;
  switch (kind?.case) {
    case "identExpr":
      return { steps: 1, shape: scope.has(kind.value.name) ? scope.get(kind.value.name) : UNKNOWN };
    case "selectExpr":
      return { steps: costOf(kind.value.operand, scope).steps + 1, shape: UNKNOWN };
    case "callExpr":
      return costOfCall(kind.value, scope);
    case "listExpr": {
      const costs = kind.value.elements.map((element) => costOf(element, scope));
      return { steps: sum(costs), shape: { length: costs.length, element: largest(costs) } };
    }
    case "structExpr":
      return costOfStruct(kind.value, scope);
    case "comprehensionExpr":
      return costOfComprehension(kind.value, scope);
    default:
      return NOTHING;
  }
}

/**
 * An estimate of the steps that evaluating an expression takes, each about half a microsecond. Comprehensions inside one
 * another multiply: without a limit, an expression of one line can run for hours.
 */
export function estimateSteps(expr: Expr): number {
  return costOf(expr, new Map()).steps;
}
