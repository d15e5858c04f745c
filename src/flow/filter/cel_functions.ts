import type { CelEnv } from "@bufbuild/cel";
import { BOOL, DYN, fromCelType, INT, type Type, variable } from "./cel_type.ts";

/** What one function takes and gives. `args` begins with the receiver of a member function. */
export interface Overload {
  readonly member: boolean;
  readonly args: readonly Type[];
  readonly result: Type;
}

const list = (element: Type): Type => ({ kind: "list", element });
const map = (key: Type, value: Type): Type => ({ kind: "map", key, value });
const global = (args: readonly Type[], result: Type): Overload => ({ member: false, args, result });

/**
 * Functions whose types depend on one another's. The library checks them when they run; here each use gets its own
 * unknowns.
 */
const GENERIC: Record<string, (a: Type, b: Type) => Overload[]> = {
  "_==_": (a) => [global([a, a], BOOL)],
  "_!=_": (a) => [global([a, a], BOOL)],
  "_?_:_": (a) => [global([BOOL, a, a], a)],
  "_[_]": (a, b) => [global([list(a), INT], a), global([map(a, b), a], b)],
  "@in": (a, b) => [global([a, list(a)], BOOL), global([a, map(a, b)], BOOL)],
  "@not_strictly_false": () => [global([BOOL], BOOL)],
  dyn: (a) => [global([a], DYN)],
  type: (a) => [global([a], { kind: "type", of: a })],
};

/** Comparisons: numbers of different types may be compared only where the types are not known beforehand. */
const ORDERED = new Set(["_<_", "_<=_", "_>_", "_>=_"]);

/**
 * What each function of an environment takes and gives. Call the entry for every use of the function: overloads of
 * generic functions are made anew.
 */
export function declareFunctions(env: CelEnv): Map<string, () => readonly Overload[]> {
  const declared = new Map<string, Overload[]>();
  for (const func of env.funcs) {
    const args = func.arguments.map(fromCelType);
    if (ORDERED.has(func.name) && args[0].kind !== args[1].kind) continue;
    const member = func.target !== undefined;
    const overload = {
      member,
      args: func.target === undefined ? args : [fromCelType(func.target), ...args],
      result: fromCelType(func.result),
    };
    const others = declared.get(func.name);
    if (others === undefined) declared.set(func.name, [overload]);
    else others.push(overload);
  }
  const functions = new Map<string, () => readonly Overload[]>();
  for (const [name, overloads] of declared) {
    if (name !== "_+_") functions.set(name, () => overloads);
    else {
      const others = overloads.filter(({ args }) => args[0].kind !== "list");
      functions.set(name, () => {
        const lists = list(variable());
        return [...others, global([lists, lists], lists)];
      });
    }
  }
  for (const [name, make] of Object.entries(GENERIC)) functions.set(name, () => make(variable(), variable()));
  return functions;
}
