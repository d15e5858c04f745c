import { isSpace } from "./text.ts";

/** One token of a label selector. Words that are operators elsewhere are words where a value is expected. */
export interface Token {
  readonly kind: "word" | "end" | "(" | ")" | "," | "!" | "=" | "==" | "!=" | "<" | ">" | "in" | "notin";
  readonly text: string;
}

const SPECIAL = "=!(),<>";

/**
 * Rewrites each key from Cilium's `source:key` into Kubernetes' `source.key`, `any.key` when it names no source. Only
 * the first colon counts: the selector grammar refuses a second one.
 */
export function translateKeys(selector: string): string {
  let out = "", at = 0;
  while (at < selector.length) {
    let start = at;
    while (at < selector.length && (selector[at] === "!" || isSpace(selector[at]))) at++;
    out += selector.slice(start, at);
    start = at;
    while (at < selector.length && !"=!,".includes(selector[at]) && !isSpace(selector[at])) at++;
    const key = selector.slice(start, at);
    out += key.includes(":") ? key.replace(":", ".") : `any.${key}`;
    start = at;
    for (let nesting = 0; at < selector.length;) {
      const character = selector[at++];
      if (character === "(") nesting++;
      else if (character === ")") nesting--;
      else if (character === "," && nesting === 0) break;
    }
    out += selector.slice(start, at);
  }
  return out;
}

function isBlank(character: string): boolean {
  return character === " " || character === "\t" || character === "\r" || character === "\n";
}

function readWord(text: string, from: number): number {
  let to = from;
  while (to < text.length && text[to] !== "\0" && !isBlank(text[to]) && !SPECIAL.includes(text[to])) to++;
  return to;
}

/** Splits a selector into tokens, the last of which is the end. A NUL character where a token should start ends a selector. */
export function tokenize(text: string): Token[] {
  const tokens: Token[] = [];
  let at = 0;
  for (;;) {
    while (at < text.length && isBlank(text[at])) at++;
    if (at >= text.length || text[at] === "\0") {
      tokens.push({ kind: "end", text: "" });
      return tokens;
    }
    if (SPECIAL.includes(text[at])) {
      const two = text.slice(at, at + 2);
      const symbol = two === "==" || two === "!=" ? two : text[at] as Token["kind"];
      tokens.push({ kind: symbol, text: symbol });
      at += symbol.length;
    } else {
      const to = readWord(text, at);
      const word = text.slice(at, to);
      tokens.push({ kind: word === "in" || word === "notin" ? word : "word", text: word });
      at = to;
    }
    // A NUL right after a token is swallowed with it.
    if (text[at] === "\0") at++;
  }
}
