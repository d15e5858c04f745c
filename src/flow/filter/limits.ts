import { FilterError } from "./error.ts";

/**
 * What one request may ask for. Filters are compiled and matched on the thread that reads the kernel's events, so their
 * cost is bounded before it arises. The limits are far above what the Hubble CLI, Relay and UI send.
 */
export const LIMITS = {
  /** Filters of one request, both lists together. */
  filters: 20_000,
  /** Characters of one regular expression. */
  patternLength: 4096,
  /**
   * Instructions of all regular expressions of one request: up to 0.1 µs each for each character of a text that is
   * searched, in the worst case.
   */
  regexpInstructions: 5_000,
  /** Characters of all CEL expressions of one request. */
  celCharacters: 16_384,
  /** Estimated steps that evaluating all CEL expressions of one request takes. */
  celSteps: 200_000,
  /**
   * Fields that remember their answer for each identity, which takes nine bytes for each of them; further ones work it
   * out for each flow.
   */
  rememberingFields: 128,
} as const;

const NAMES = {
  regexpInstructions: "instructions in regular expressions",
  celCharacters: "characters of CEL expressions",
  celSteps: "steps in CEL expressions",
} as const;

/** What is left of {@link LIMITS} while the filters of one request are compiled. */
export interface Budget {
  /** @throws {FilterError} when a limit is passed. */
  spend(kind: keyof typeof NAMES, amount: number): void;
  /** Whether one more field may remember its answers. */
  mayRemember(): boolean;
}

/** A fresh budget for one request. */
export function makeBudget(): Budget {
  const spent = { regexpInstructions: 0, celCharacters: 0, celSteps: 0 };
  let remembering = 0;
  return {
    spend(kind, amount) {
      spent[kind] += amount;
      if (spent[kind] > LIMITS[kind]) {
        throw new FilterError(`filters too large: more than ${LIMITS[kind]} ${NAMES[kind]} in one request`);
      }
    },
    mayRemember: () => remembering++ < LIMITS.rememberingFields,
  };
}
