import { isIP } from "node:net";
import { UsageError } from "./errors.ts";

/** Parsers of option values. Each throws a {@link UsageError} that names the flag, the value and what was expected. */
export type ValueParser<T> = (text: string) => T;

/** A whole number from `min` to `max`, in decimal. */
export function integer(flag: string, min: number, max: number): ValueParser<number> {
  return (text) => {
    const value = /^\d+$/.test(text) ? Number(text) : NaN;
    if (value >= min && value <= max) return value;
    throw refused(flag, text, `a whole number from ${min} to ${max}`);
  };
}

/** A power of two from `min` to `max`; the error names the next power above the value. */
export function powerOfTwo(flag: string, min: number, max: number): ValueParser<number> {
  return (text) => {
    const value = /^\d+$/.test(text) ? Number(text) : NaN;
    if (value >= min && value <= max && Number.isInteger(Math.log2(value))) return value;
    const next = Number.isNaN(value)
      ? min
      : Math.min(max, Math.max(min, 2 ** Math.ceil(Math.log2(Math.max(1, value)))));
    throw refused(flag, text, `a power of two from ${min} to ${max}, for example ${next}`);
  };
}

/** A TCP port; 0 lets the kernel choose one. */
export function port(flag: string): ValueParser<number> {
  return integer(flag, 0, 65535);
}

/** One of a closed list of words. */
export function oneOf<T extends string>(flag: string, words: readonly T[]): ValueParser<T> {
  return (text) => {
    const found = words.find((word) => word === text);
    if (found !== undefined) return found;
    throw refused(flag, text, `one of ${words.join(", ")}`);
  };
}

/** A number greater than zero, decimals allowed. */
export function positiveNumber(flag: string): ValueParser<number> {
  return (text) => {
    const value = /^\d+(\.\d+)?$/.test(text) ? Number(text) : NaN;
    if (value > 0 && Number.isFinite(value)) return value;
    throw refused(flag, text, "a number greater than 0");
  };
}

/** An IPv4 or IPv6 address to listen on; empty means all. */
export function listenAddress(flag: string): ValueParser<string> {
  return (text) => {
    const plain = text.replace(/^\[(.*)\]$/, "$1");
    if (plain === "" || isIP(plain) !== 0) return plain;
    throw refused(flag, text, "an IPv4 or IPv6 address, or nothing for all of them");
  };
}

/** The name of a network interface: at most 15 bytes, no slash and no white space (dev_valid_name() in net/core/dev.c). */
export function interfaceName(flag: string): ValueParser<string> {
  return (text) => {
    const length = new TextEncoder().encode(text).length;
    if (length > 0 && length <= 15 && text !== "." && text !== ".." && !/[/:\s\0]/.test(text)) return text;
    throw refused(flag, text, "the name of a network interface (1 to 15 bytes, no slash, colon or space)");
  };
}

/** A path, host or other text that must not be empty. */
export function nonEmpty(flag: string, what: string): ValueParser<string> {
  return (text) => {
    if (text.trim() !== "") return text;
    throw refused(flag, text, what);
  };
}

/** A regular expression of JavaScript. */
export function regularExpression(flag: string): ValueParser<RegExp> {
  return (text) => {
    try {
      return new RegExp(text, "u");
    } catch (error) {
      throw refused(flag, text, `a regular expression (${error instanceof Error ? error.message : String(error)})`);
    }
  };
}

function refused(flag: string, value: string, expected: string): UsageError {
  return new UsageError(`Cannot use ${flag} ${JSON.stringify(value)}: expected ${expected}`);
}
