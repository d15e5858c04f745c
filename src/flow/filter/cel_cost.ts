import type { Expr } from "./cel_check.ts";

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
const UNKNOWN_LENGTH = 16;
const UNKNOWN: Shape = { length: UNKNOWN_LENGTH, element: undefined };
/** A regular expression may be compiled for each flow. */
const MATCHES_STEPS = 100;

type Scope = ReadonlyMap<string, Shape | undefined>;

function larger(a: Shape | undefined, b: Shape | undefined): Shape | undefined {
  if (a === undefined || b === undefined) return a ?? b;
  return { length: Math.max(a.length, b.length), element: larger(a.element, b.element) };
}

function sum(costs: readonly Cost[]): number {
  return costs.reduce((steps, cost) => steps + cost.steps, 1);
}

function costOf(expr: Expr | undefined, scope: Scope): Cost {
  const kind = expr?.exprKind;
  switch (kind?.case) {
    case "identExpr":
      return { steps: 1, shape: scope.has(kind.value.name) ? scope.get(kind.value.name) : UNKNOWN };
    case "selectExpr":
      return { steps: costOf(kind.value.operand, scope).steps + 1, shape: UNKNOWN };
    case "callExpr": {
      const { function: name, target, args } = kind.value;
      const costs = [...target === undefined ? [] : [target], ...args].map((arg) => costOf(arg, scope));
      const steps = sum(costs) + (name === "matches" ? MATCHES_STEPS : 0);
      const shapes = costs.map(({ shape }) => shape);
      if (name === "_[_]") return { steps, shape: shapes[0]?.element ?? UNKNOWN };
      // `in` and `==` look at each element.
      const walked = name === "@in" || name === "_==_" || name === "_!=_"
        ? elements(shapes[0]) + elements(shapes[1])
        : 0;
      const shape = shapes.reduce(larger, undefined);
      if (name !== "_+_" || shape === undefined) return { steps: steps + walked, shape };
      const length = (shapes[0]?.length ?? 0) + (shapes[1]?.length ?? 0);
      return { steps, shape: { length, element: shape.element } };
    }
    case "listExpr": {
      const costs = kind.value.elements.map((element) => costOf(element, scope));
      const element = costs.reduce<Shape | undefined>((shape, cost) => larger(shape, cost.shape), undefined);
      return { steps: sum(costs), shape: { length: costs.length, element } };
    }
    case "structExpr": {
      const { entries } = kind.value;
      const keys = entries.map(({ keyKind }) => keyKind.case === "mapKey" ? costOf(keyKind.value, scope) : NOTHING);
      const values = entries.map(({ value }) => costOf(value, scope));
      const element = [...keys, ...values].reduce<Shape | undefined>(
        (shape, cost) => larger(shape, cost.shape),
        undefined,
      );
      return { steps: sum(keys) + sum(values), shape: { length: entries.length, element } };
    }
    case "comprehensionExpr": {
      const { iterVar, iterRange, accuVar, accuInit, loopCondition, loopStep, result } = kind.value;
      const range = costOf(iterRange, scope), init = costOf(accuInit, scope);
      const length = (range.shape ?? UNKNOWN).length;
      // map() and filter() add to the accumulator once in each turn.
      const grown = init.shape === undefined ? undefined : { length, element: init.shape.element };
      const inner = new Map(scope).set(iterVar, range.shape?.element ?? UNKNOWN).set(accuVar, grown);
      const condition = costOf(loopCondition, inner), step = costOf(loopStep, inner);
      const outer = new Map(scope).set(accuVar, step.shape);
      const end = costOf(result, outer);
      return {
        steps: range.steps + init.steps + length * (condition.steps + step.steps + 1) + end.steps,
        shape: end.shape,
      };
    }
    default:
      return NOTHING;
  }
}

const NOTHING: Cost = { steps: 1, shape: undefined };

function elements(shape: Shape | undefined): number {
  return shape === undefined ? 0 : shape.length * (1 + elements(shape.element));
}

/**
 * An estimate of the steps that evaluating an expression takes, each well below a microsecond. Comprehensions inside one
 * another multiply: without a limit, an expression of a line can run for hours.
 */
export function estimateSteps(expr: Expr): number {
  return costOf(expr, new Map()).steps;
}
