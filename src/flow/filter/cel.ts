import { createRegistry } from "@bufbuild/protobuf";
import { celEnv, celFunc, CelScalar, isCelError, parse, plan } from "@bufbuild/cel";
import * as wellKnown from "@bufbuild/protobuf/wkt";
import { file_flow_flow, type Flow, type FlowFilter, FlowSchema } from "../../../proto/gen/flow/flow_pb.ts";
import { unpackExtensions } from "./cel_any.ts";
import { Checker, type Expr, type Mistake } from "./cel_check.ts";
import { estimateSteps } from "./cel_cost.ts";
import { formatType, type Type } from "./cel_type.ts";
import { FilterError, within } from "./error.ts";
import type { Budget } from "./limits.ts";
import type { Predicate } from "./predicate.ts";
import { makeRegexpCache } from "./regexp.ts";

/** The name of the flow in expressions; `flow` is taken by the package of its message. */
const VARIABLE = "_flow";

/** The answer about one flow; undefined when the expression failed. */
type Program = (flow: Flow) => boolean | undefined;

/** Made at the first use: most agents never see an expression. */
let environment: { env: ReturnType<typeof makeEnvironment>; checker: Checker } | undefined;

function makeEnvironment() {
  const regexps = makeRegexpCache();
  return celEnv({
    namespace: "flow",
    registry: createRegistry(file_flow_flow),
    re2: { compile: (pattern) => ({ test: regexps(pattern) }) },
    funcs: [
      // The library has it as a method only.
      celFunc(
        "matches",
        [CelScalar.STRING, CelScalar.STRING],
        CelScalar.BOOL,
        (text, pattern) => regexps(pattern)(text),
      ),
    ],
  });
}

function getEnvironment(): NonNullable<typeof environment> {
  if (environment === undefined) {
    const env = makeEnvironment();
    const registry = createRegistry(
      file_flow_flow,
      wellKnown.file_google_protobuf_any,
      wellKnown.file_google_protobuf_duration,
      wellKnown.file_google_protobuf_struct,
      wellKnown.file_google_protobuf_timestamp,
      wellKnown.file_google_protobuf_wrappers,
    );
    const checker = new Checker(env, registry, { [VARIABLE]: { kind: "message", desc: FlowSchema } });
    environment = { env, checker };
  }
  return environment;
}

/** Types that cel-go names otherwise as a result than in a mistake. */
const RESULT_NAMES: Partial<Record<Type["kind"], string>> = {
  timestamp: "google.protobuf.Timestamp",
  duration: "google.protobuf.Duration",
  null: "null_type",
};

/** A mistake with its place, as cel-go shows it. */
function report(source: string, offset: number, text: string): string {
  const before = source.slice(0, offset).split("\n"), line = before.length, column = before[line - 1].length;
  return `ERROR: <input>:${line}:${column + 1}: ${text}\n | ${source.split("\n")[line - 1]}\n | ${".".repeat(column)}^`;
}

function parseExpression(source: string): ReturnType<typeof parse> {
  try {
    return parse(source);
  } catch (error) {
    if (error instanceof RangeError) throw new FilterError("expression nests too deeply");
    const [, line, column, text] = /^<input>:(\d+):(\d+): ([^]*)$/.exec(String((error as Error).message)) ?? [];
    if (text === undefined) throw new FilterError(`ERROR: <input>:1:1: Syntax error: ${(error as Error).message}`);
    const lines = source.split("\n").slice(0, Number(line) - 1);
    const offset = lines.reduce((sum, one) => sum + one.length + 1, 0) + Number(column) - 1;
    throw new FilterError(report(source, offset, `Syntax error: ${text}`));
  }
}

/** Where a mistake is: the parser's place of an operator may be that of the blanks in front of it. */
function placeOf({ id, mark }: Mistake, source: string, positions: Readonly<Record<string, number>>): number {
  let at = positions[String(id)] ?? 0;
  if (mark !== "") return Math.max(at, source.indexOf(mark, at));
  while (at < source.length && " \t\r\n\f".includes(source[at])) at++;
  return at;
}

function checkTypes(source: string, expr: Expr, positions: Readonly<Record<string, number>>): void {
  const { type, mistakes } = getEnvironment().checker.check(expr);
  const placed = mistakes.map((mistake) => ({ text: mistake.text, at: placeOf(mistake, source, positions) }));
  if (placed.length > 0) {
    placed.sort((a, b) => a.at - b.at);
    throw new FilterError(placed.map(({ at, text }) => report(source, at, text)).join("\n"));
  }
  if (type.kind !== "bool") {
    throw new FilterError(`got "${RESULT_NAMES[type.kind] ?? formatType(type)}", wanted "bool" result type`);
  }
}

function compileExpression(source: string, budget: Budget): Program {
  budget.spend("celCharacters", source.length);
  const { expr, sourceInfo } = parseExpression(source);
  try {
    checkTypes(source, expr, sourceInfo?.positions ?? {});
    budget.spend("celSteps", estimateSteps(expr));
    const run = plan(getEnvironment().env, unpackExtensions(expr));
    return (flow) => {
      const result = run({ [VARIABLE]: flow });
      return isCelError(result) ? undefined : result === true;
    };
  } catch (error) {
    if (error instanceof RangeError) throw new FilterError("expression nests too deeply");
    throw error;
  }
}

/**
 * experimental.cel_expression: expressions about `_flow`, of which one must be true. One that fails on a flow, say by
 * dividing by zero, ends the search: the flow does not match, whatever the expressions after it would say.
 */
export function compileCel(filter: FlowFilter, budget: Budget): Predicate[] {
  const sources = filter.experimental?.celExpression ?? [];
  if (sources.length === 0) return [];
  const programs = within("error compiling CEL expression", () => sources.map((one) => compileExpression(one, budget)));
  return [{
    flow: (flow) => {
      for (const program of programs) {
        const answer = program(flow);
        if (answer !== false) return answer === true;
      }
      return false;
    },
    record: undefined,
  }];
}
