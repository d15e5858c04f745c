import { addressComplaint } from "./address_syntax.ts";

// What is wrong is looked for, instead of what is right: no expression here can backtrack, however long the URI is.
/** An ASCII character that a host may not hold, or an escape other than of a percent sign or a byte above ASCII. */
// deno-lint-ignore no-control-regex -- these characters are among the wrong ones
const BAD_HOST = /[\x00- #/?@\\^`{|}\x7f]|%(?!25|[89A-Fa-f][0-9A-Fa-f])/;
/** The same for the zone of an IPv6 address, where any character that could stand there may be escaped, and a blank. */
// deno-lint-ignore no-control-regex -- as above
const BAD_ZONE = /[\x00- #/?@\\^`{|}\x7f]|%(?!2[0-24-9A-E]|3[0-9A-E]|[46][1-9A-F]|5[0-9ABDF]|7[0-9AE])/i;
const BAD_USER = /[^A-Za-z0-9\-_.~!$&'()*+,;=%:@]/;
const BAD_ESCAPE = /%(?![0-9A-Fa-f]{2})/;
const PORT = /^(?::[0-9]*)?$/;

const decoder = new TextDecoder();
const encoder = new TextEncoder();
const PERCENT = 37;

/** Bytes behind percent signs as text; what is no UTF-8 becomes U+FFFD, which is how RE2 reads it too. */
function unescape(text: string): string {
  if (!text.includes("%")) return text;
  const bytes = encoder.encode(text);
  let end = 0;
  for (let at = 0; at < bytes.length; at++) {
    if (bytes[at] !== PERCENT) bytes[end++] = bytes[at];
    else {
      bytes[end++] = parseInt(String.fromCharCode(bytes[at + 1], bytes[at + 2]), 16);
      at += 2;
    }
  }
  return decoder.decode(bytes.subarray(0, end));
}

function isLiteral(host: string): boolean {
  const close = host.lastIndexOf("]");
  if (close < 0 || !PORT.test(host.slice(close + 1))) return false;
  const inside = host.slice(1, close), zone = inside.indexOf("%25");
  if (BAD_HOST.test(zone < 0 ? inside : inside.slice(0, zone)) || zone >= 0 && BAD_ZONE.test(inside.slice(zone))) {
    return false;
  }
  const address = unescape(inside);
  return address.includes(":") && addressComplaint(address) === undefined;
}

function isHost(host: string): boolean {
  const bracket = host.lastIndexOf("[");
  if (bracket > 0) return false;
  if (bracket === 0) return isLiteral(host);
  // Several colons are taken for a list of hosts with ports, as Go did until 1.26.
  const colon = host.lastIndexOf(":");
  return (colon < 0 || PORT.test(host.slice(colon))) && !BAD_HOST.test(host);
}

function isAuthority(authority: string): boolean {
  const at = authority.lastIndexOf("@");
  if (!isHost(authority.slice(at + 1))) return false;
  const user = authority.slice(0, Math.max(0, at));
  return !BAD_USER.test(user) && !BAD_ESCAPE.test(user);
}

/**
 * The path of an HTTP request's URI, unescaped, as Go's url.ParseRequestURI finds it: of an absolute path or an
 * absolute URL. Undefined when it is neither.
 */
export function requestPath(uri: string): string | undefined {
  // deno-lint-ignore no-control-regex -- control characters are what is looked for
  if (uri === "" || /[\x00-\x1f\x7f]/.test(uri)) return undefined;
  if (uri === "*") return "*";
  if (uri.startsWith(":")) return undefined;
  const scheme = /^[A-Za-z][A-Za-z0-9+.-]*:/.exec(uri)?.[0] ?? "";
  let [rest] = uri.slice(scheme.length).split("?", 1);
  if (!rest.startsWith("/")) return scheme === "" ? undefined : "";
  if (scheme !== "" && rest.startsWith("//")) {
    const slash = rest.indexOf("/", 2), end = slash < 0 ? rest.length : slash;
    if (!isAuthority(rest.slice(2, end))) return undefined;
    rest = rest.slice(end);
  }
  return BAD_ESCAPE.test(rest) ? undefined : unescape(rest);
}
