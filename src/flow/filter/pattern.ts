import { FilterError, quoteCharacter } from "./error.ts";
import { toLower, trimSpace } from "./text.ts";

/** Whether a name fits a pattern. */
export type NameTest = (name: string) => boolean;

/** What `*` stands for, any number of times; an underscore is not among it. */
const STAR = /^[-.0-9a-z]$/;
/** What a pattern may hold besides `*`. */
const LITERAL = /^[-_.0-9a-z]$/;
/** What an empty element of a node name pattern stands for. */
const ANY_NAME = /^[-0-9_a-z]+(?:\.[-0-9_a-z]+)*$/;

const STAR_CODES = new Uint8Array(128);
for (let code = 0; code < 128; code++) if (STAR.test(String.fromCharCode(code))) STAR_CODES[code] = 1;

function onlyStarCharacters(text: string, from: number, to: number): boolean {
  for (let i = from; i < to; i++) {
    const code = text.charCodeAt(i);
    if (code > 127 || STAR_CODES[code] === 0) return false;
  }
  return true;
}

/**
 * Matches the pieces between stars one after the other, each at the first place where it fits. A later place is never
 * better: a star covers the characters in between, and a piece that holds the one literal that a star does not cover
 * (an underscore) fits at one place only. So the time is bounded by name × pattern, whatever the pattern is.
 */
function matchPieces(pieces: readonly string[], name: string): boolean {
  const last = pieces.length - 1, first = pieces[0], tail = pieces[last];
  let at = first.length;
  const end = name.length - tail.length;
  if (end < at || !name.startsWith(first) || !name.endsWith(tail)) return false;
  for (let i = 1; i < last; i++) {
    const found = name.indexOf(pieces[i], at);
    if (found < 0 || found + pieces[i].length > end || !onlyStarCharacters(name, at, found)) return false;
    at = found + pieces[i].length;
  }
  return onlyStarCharacters(name, at, end);
}

/** The pattern as it is matched: blanks around it and one trailing dot do not count, nor does case. */
function canonical(pattern: string): string {
  let text = trimSpace(pattern);
  if (text.endsWith(".")) text = text.slice(0, -1);
  text = toLower(text);
  if (text === "") throw new FilterError("empty pattern");
  if (text.endsWith(".")) throw new FilterError("multiple trailing dots in pattern");
  for (const character of text) {
    if (character !== "*" && !LITERAL.test(character)) {
      throw new FilterError(`${quoteCharacter(character)}: invalid rune in pattern`);
    }
  }
  return text;
}

function compileStars(pattern: string): NameTest {
  // Adjacent stars say the same as one.
  const pieces = pattern.split(/\*+/);
  return (name) => matchPieces(pieces, name);
}

/**
 * Compiles domain name patterns: `*` stands for any number of `[-.0-9a-z]`, dots included, and a name must fit a
 * pattern from end to end. Names are taken as they are: a trailing dot or an upper-case letter never fits.
 *
 * @throws {FilterError} on an empty pattern, several trailing dots, or another character than `[-_.0-9a-z*]`.
 */
export function compileDomainPatterns(patterns: readonly string[]): NameTest {
  const all = new Set(patterns.map(canonical));
  const tests = [...all].filter((pattern) => pattern.includes("*")).map(compileStars);
  return (name) => all.has(name) && !name.includes("*") || tests.some((test) => test(name));
}

function compileNode(pattern: string): NameTest {
  if (pattern === "") throw new FilterError("empty pattern");
  const elements = pattern.split("/");
  if (elements.length > 2) throw new FilterError("too many slashes in pattern");
  const tests = elements.map((element) =>
    element === "" ? (name: string) => ANY_NAME.test(name) : compileDomainPatterns([element])
  );
  const [cluster, node] = tests.length === 1 ? [(name: string) => ANY_NAME.test(name), tests[0]] : tests;
  return (name) => {
    const slash = name.indexOf("/");
    return name.indexOf("/", slash + 1) < 0 && cluster(name.slice(0, slash)) && node(name.slice(slash + 1));
  };
}

/**
 * Compiles node name patterns: `cluster/node`, where an empty element is any name, or `node` in any cluster. A node
 * name without a cluster is in cluster `default`; an empty node name never fits.
 *
 * @throws {FilterError} as {@link compileDomainPatterns}, and on more than one slash.
 */
export function compileNodePatterns(patterns: readonly string[]): NameTest {
  const tests = [...new Set(patterns)].map(compileNode);
  return (name) => {
    if (name === "") return false;
    const full = name.includes("/") ? name : `default/${name}`;
    return tests.some((test) => test(full));
  };
}
