import { quote } from "./error.ts";

const HEX = /^[0-9A-Fa-f]$/;

/** Go's complaint in its own form; `at` is the rest of the text from where it went wrong. */
function complaint(text: string, message: string, at = ""): string {
  return `ParseAddr(${quote(text)}): ${message}${at === "" ? "" : ` (at ${quote(at)})`}`;
}

/** What is wrong with the dotted quad that is `part` of `text`. */
function quadComplaint(text: string, part: string): string | undefined {
  let value = 0, digits = 0, dots = 0;
  for (let i = 0; i < part.length; i++) {
    const character = part[i];
    if (character >= "0" && character <= "9") {
      if (digits === 1 && value === 0) return complaint(text, "IPv4 field has octet with leading zero");
      value = value * 10 + Number(character);
      digits++;
      if (value > 255) return complaint(text, "IPv4 field has value >255");
    } else if (character === ".") {
      if (digits === 0 || i === part.length - 1) {
        return complaint(text, "IPv4 field must have at least one digit", part.slice(i));
      }
      if (dots++ === 3) return complaint(text, "IPv4 address too long");
      value = digits = 0;
    } else return complaint(text, "unexpected character", part.slice(i));
  }
  return dots < 3 ? complaint(text, "IPv4 address too short") : undefined;
}

function groupsComplaint(text: string, groups: string): string | undefined {
  let rest = groups, bytes = 0, gap = false;
  if (rest.startsWith("::")) {
    gap = true;
    rest = rest.slice(2);
    if (rest === "") return undefined;
  }
  while (bytes < 16) {
    let digits = 0;
    while (digits < rest.length && HEX.test(rest[digits])) {
      if (++digits > 4) return complaint(text, "each group must have 4 or less digits", rest);
    }
    if (digits === 0) return complaint(text, "each colon-separated field must have at least one digit", rest);
    if (rest[digits] === ".") {
      if (!gap && bytes !== 12) {
        return complaint(text, "embedded IPv4 address must replace the final 2 fields of the address", rest);
      }
      if (bytes > 12) {
        return complaint(text, "too many hex fields to fit an embedded IPv4 at the end of the address", rest);
      }
      const found = quadComplaint(text, rest);
      if (found !== undefined) return found;
      rest = "";
      bytes += 4;
      break;
    }
    bytes += 2;
    rest = rest.slice(digits);
    if (rest === "") break;
    if (rest[0] !== ":") return complaint(text, "unexpected character, want colon", rest);
    if (rest.length === 1) return complaint(text, "colon must be followed by more characters", rest);
    rest = rest.slice(1);
    if (rest[0] === ":") {
      if (gap) return complaint(text, "multiple :: in address", rest);
      gap = true;
      rest = rest.slice(1);
      if (rest === "") break;
    }
  }
  if (rest !== "") return complaint(text, "trailing garbage after address", rest);
  if (bytes < 16) return gap ? undefined : complaint(text, "address string too short");
  return gap ? complaint(text, "the :: must expand to at least one field of zeros") : undefined;
}

/**
 * What Go's netip.ParseAddr says of a text that it does not take for an address; undefined when it takes it. It is
 * stricter than most parsers: no octal, no shortened IPv4. IPv6 may carry a zone.
 */
export function addressComplaint(text: string): string | undefined {
  const first = /[.:%]/.exec(text)?.[0];
  if (first === undefined) return complaint(text, "unable to parse IP");
  if (first === "%") return complaint(text, "missing IPv6 address");
  if (first === ".") return quadComplaint(text, text);
  const percent = text.indexOf("%");
  if (percent === text.length - 1) return complaint(text, "zone must be a non-empty string");
  return groupsComplaint(text, percent < 0 ? text : text.slice(0, percent));
}
