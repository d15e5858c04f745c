import { FilterError, within } from "./error.ts";
import { hasKey, type Label, parseSelectorKey } from "./label.ts";
import { type Token, tokenize, translateKeys } from "./selector_lexer.ts";
import { checkKey, checkValues, parseInteger } from "./selector_validation.ts";

/** Whether an endpoint with these labels, from {@link parseLabels}, is selected. */
export type Selector = (labels: readonly Label[]) => boolean;

const OPERATORS = ["in", "notin", "=", "==", "!=", ">", "<"];
/** As Kubernetes names them in its message, in its order. */
const OPERATOR_NAMES = "in, notin, =, ==, !=, gt, lt";

function compileRequirement(key: string, operator: string, values: readonly string[]): Selector {
  const asked = parseSelectorKey(key);
  const find = (labels: readonly Label[]) => labels.find((label) => hasKey(label, asked))?.value;
  const set = new Set(values);
  switch (operator) {
    case "exists":
      return (labels) => find(labels) !== undefined;
    case "!":
      return (labels) => find(labels) === undefined;
    case "notin":
    case "!=":
      return (labels) => {
        const value = find(labels);
        return value === undefined || !set.has(value);
      };
    case ">":
    case "<": {
      const limit = parseInteger(values[0])!;
      return (labels) => {
        const value = find(labels);
        const number = value === undefined ? undefined : parseInteger(value);
        return number !== undefined && (operator === ">" ? number > limit : number < limit);
      };
    }
    default:
      return (labels) => {
        const value = find(labels);
        return value !== undefined && set.has(value);
      };
  }
}

/** Tokens with a position; reads past the end keep returning the end. */
class Parser {
  #at = 0;
  constructor(readonly tokens: readonly Token[]) {}

  peek(): Token {
    return this.tokens[Math.min(this.#at, this.tokens.length - 1)];
  }

  next(): Token {
    const token = this.peek();
    this.#at++;
    return token;
  }
}

/** Whether a token can be a key or a value: the words of operators can. */
function isWord(token: Token): boolean {
  return token.kind === "word" || token.kind === "in" || token.kind === "notin";
}

/** The values in parentheses, sorted and each once; nothing between two commas is the empty value. */
function parseList(parser: Parser): string[] {
  const open = parser.next();
  if (open.kind !== "(") throw new FilterError(`found '${open.text}' expected: '('`);
  const values = new Set<string>();
  const first = parser.peek();
  if (first.kind === ")") values.add("");
  else if (!isWord(first) && first.kind !== ",") {
    throw new FilterError(`found '${first.text}', expected: ',', ')' or identifier`);
  }
  while (parser.peek().kind !== ")") {
    const token = parser.next(), following = parser.peek().kind;
    if (isWord(token)) {
      values.add(token.text);
      if (following !== "," && following !== ")") {
        throw new FilterError(`found '${parser.peek().text}', expected: ',' or ')'`);
      }
    } else if (token.kind === ",") {
      if (values.size === 0 || following === ")" || following === ",") values.add("");
    } else throw new FilterError(`found '${token.text}', expected: ',', or identifier`);
  }
  parser.next();
  return [...values].sort();
}

function parseValue(parser: Parser): string[] {
  const token = parser.peek();
  if (token.kind === "end" || token.kind === ",") return [""];
  parser.next();
  if (!isWord(token)) throw new FilterError(`found '${token.text}', expected: identifier`);
  return [token.text];
}

function parseRequirement(parser: Parser): Selector {
  let token = parser.next();
  const negated = token.kind === "!";
  if (negated) token = parser.next();
  if (!isWord(token)) throw new FilterError(`found '${token.text}', expected: identifier`);
  const key = token.text;
  checkKey(key);
  const following = parser.peek().kind;
  if (negated) return compileRequirement(key, "!", []);
  if (following === "end" || following === ",") return compileRequirement(key, "exists", []);
  const operator = parser.next();
  if (!OPERATORS.includes(operator.kind)) {
    throw new FilterError(`found '${operator.text}', expected: ${OPERATOR_NAMES}`);
  }
  const values = operator.kind === "in" || operator.kind === "notin" ? parseList(parser) : parseValue(parser);
  checkValues(key, values, operator.kind === ">" || operator.kind === "<");
  return compileRequirement(key, operator.kind, values);
}

/**
 * Compiles a Kubernetes label selector whose keys may carry a Cilium source (`k8s:app=web, !reserved:host`). A key
 * without a source is looked for in any. The empty selector selects everything.
 *
 * @throws {FilterError} on wrong syntax, with the words of Kubernetes' parser.
 */
export function compileSelector(text: string): Selector {
  const parser = new Parser(tokenize(translateKeys(text)));
  const requirements: Selector[] = [];
  while (parser.peek().kind !== "end") {
    const token = parser.peek();
    if (!isWord(token) && token.kind !== "!") {
      throw new FilterError(`found '${token.text}', expected: !, identifier, or 'end of string'`);
    }
    requirements.push(within("unable to parse requirement", () => parseRequirement(parser)));
    const separator = parser.next();
    if (separator.kind === "end") break;
    if (separator.kind !== ",") throw new FilterError(`found '${separator.text}', expected: ',' or 'end of string'`);
    const following = parser.peek();
    if (!isWord(following) && following.kind !== "!") {
      throw new FilterError(`found '${following.text}', expected: identifier after ','`);
    }
  }
  return (labels) => requirements.every((requirement) => requirement(labels));
}
