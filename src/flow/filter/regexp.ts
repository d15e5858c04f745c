import { RE2JS } from "re2js";
import { FilterError } from "./error.ts";
import { type Budget, LIMITS } from "./limits.ts";

/** Whether a text holds a match of a regular expression. */
export type TextTest = (text: string) => boolean;

function compileRe2(pattern: string): RE2JS {
  if (pattern.length > LIMITS.patternLength) {
    throw new FilterError(
      `regular expression of ${pattern.length} characters: expected at most ${LIMITS.patternLength}`,
    );
  }
  try {
    return RE2JS.compile(pattern);
  } catch (error) {
    const text = error instanceof Error ? error.message : String(error);
    // Go names the piece of the pattern that is wrong after each message; this one comes without.
    throw new FilterError(text.endsWith("trailing backslash at end of expression") ? `${text}: \`\`` : text);
  }
}

/**
 * Compiles a regular expression in RE2's dialect, which Hubble's clients write. Searching takes time linear in the text,
 * for each instruction of the compiled expression; the number of those is limited for each request.
 *
 * @throws {FilterError} on wrong syntax, in the words of Go's regexp package, or when it is too large.
 */
export function compileRegexp(pattern: string, budget: Budget): TextTest {
  const compiled = compileRe2(pattern);
  budget.spend("regexpInstructions", compiled.programSize());
  return (text) => compiled.test(text);
}

/** Expressions that are kept; what they are, the flows' texts may decide. */
const CACHED = 64;

/** A compiler for expressions that are met while flows are matched: it keeps the latest, and limits each for itself. */
export function makeRegexpCache(): (pattern: string) => TextTest {
  const cache = new Map<string, TextTest>();
  return (pattern) => {
    const known = cache.get(pattern);
    if (known !== undefined) return known;
    const compiled = compileRe2(pattern), size = compiled.programSize();
    if (size > LIMITS.regexpInstructions / 10) throw new FilterError(`regular expression of ${size} instructions`);
    const test = (text: string) => compiled.test(text);
    if (cache.size === CACHED) cache.delete(cache.keys().next().value!);
    cache.set(pattern, test);
    return test;
  };
}
