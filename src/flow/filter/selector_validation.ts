import { FilterError, quote } from "./error.ts";

/** Bytes of a key's name part and of a value (Kubernetes label syntax). */
const NAME_BYTES = 63;
/** Bytes of a key's prefix (RFC 1123 subdomain). */
const PREFIX_BYTES = 253;

const NAME_RULE = "must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an " +
  "alphanumeric character";
const NAME = "([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]";
const NAME_HELP = `${NAME_RULE} (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '${NAME}')`;
const VALUE_HELP =
  "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and " +
  `end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is '(${NAME})?')`;
const PREFIX = "[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*";
const PREFIX_HELP = "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', " +
  `and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '${PREFIX}')`;

// The same languages as the expressions in the messages, written so that JavaScript's engine takes linear time.
const NAME_TEST = /^[A-Za-z0-9](?:[-A-Za-z0-9_.]*(?<=[A-Za-z0-9]))?$/;
const PREFIX_PART = /^[a-z0-9](?:[-a-z0-9]*(?<=[a-z0-9]))?$/;

const encoder = new TextEncoder();

function tooLong(text: string, bytes: number): boolean {
  return encoder.encode(text).length > bytes;
}

function prefixErrors(prefix: string): string[] {
  if (prefix === "") return ["prefix part must be non-empty"];
  const errors: string[] = [];
  if (tooLong(prefix, PREFIX_BYTES)) errors.push(`prefix part must be no more than ${PREFIX_BYTES} bytes`);
  if (!prefix.split(".").every((part) => PREFIX_PART.test(part))) errors.push(`prefix part ${PREFIX_HELP}`);
  return errors;
}

function keyErrors(key: string): string[] {
  const parts = key.split("/");
  if (parts.length > 2) {
    return [`a valid label key ${NAME_HELP} with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')`];
  }
  const errors = parts.length === 2 ? prefixErrors(parts[0]) : [];
  const name = parts[parts.length - 1];
  if (name === "") errors.push("name part must be non-empty");
  else if (tooLong(name, NAME_BYTES)) errors.push(`name part must be no more than ${NAME_BYTES} bytes`);
  if (!NAME_TEST.test(name)) errors.push(`name part ${NAME_HELP}`);
  return errors;
}

/** @throws {FilterError} when a selector's key is no Kubernetes label key. */
export function checkKey(key: string): void {
  const errors = keyErrors(key);
  if (errors.length > 0) throw new FilterError(`<nil>: Invalid value: ${quote(key)}: ${errors.join("; ")}`);
}

/**
 * @param numeric whether the operator compares numbers.
 * @throws {FilterError} when a value is no Kubernetes label value, or no number where one is needed.
 */
export function checkValues(key: string, values: readonly string[], numeric: boolean): void {
  const errors: string[] = [];
  if (numeric && parseInteger(values[0]) === undefined) {
    const text = "for 'Gt', 'Lt' operators, the value must be an integer";
    errors.push(`values[0]: Invalid value: ${quote(values[0])}: ${text}`);
  }
  values.forEach((value, i) => {
    const found = tooLong(value, NAME_BYTES) ? [`must be no more than ${NAME_BYTES} bytes`] : [];
    if (value !== "" && !NAME_TEST.test(value)) found.push(VALUE_HELP);
    if (found.length > 0) errors.push(`values[${i}][${key}]: Invalid value: ${quote(value)}: ${found.join("; ")}`);
  });
  if (errors.length > 0) throw new FilterError(errors.length === 1 ? errors[0] : `[${errors.join(", ")}]`);
}

const INT64_MAX = 2n ** 63n - 1n;

/** A signed 64-bit decimal; undefined when the text is none. */
export function parseInteger(text: string): bigint | undefined {
  // No number of 64 bits needs more digits, leading zeros apart; a longer text would take long to convert.
  if (!/^[+-]?0*\d{1,19}$/.test(text)) return undefined;
  const number = BigInt(text.replace(/^[+-]/, ""));
  if (text.startsWith("-")) return number <= INT64_MAX + 1n ? -number : undefined;
  return number <= INT64_MAX ? number : undefined;
}
