import type { Flow, FlowFilter, HTTP } from "../../../proto/gen/flow/flow_pb.ts";
import { FilterError, quote, within } from "./error.ts";
import type { Budget } from "./limits.ts";
import type { Predicate } from "./predicate.ts";
import { compileRegexp } from "./regexp.ts";
import { requestPath } from "./request_uri.ts";

/** event_type of an access log entry: the only events with HTTP. */
const ACCESS_LOG = 129;

/** Records have no HTTP, so that no field of it matches one. */
function onHttp(test: (http: HTTP) => boolean): Predicate {
  const flow = ({ l7 }: Flow) => l7?.record.case === "http" && test(l7.record.value);
  return { flow, record: false };
}

function checkEventType(filter: FlowFilter, field: string): void {
  if (filter.eventType.length === 0 || filter.eventType.some(({ type }) => type === ACCESS_LOG)) return;
  throw new FilterError(`filtering by http ${field} requires the event type filter to only match 'l7' events`);
}

/** http_status_code: `404`, or `4+` and `40+` for all that start so. */
function compileStatus(values: readonly string[]): (http: HTTP) => boolean {
  const whole = new Set<string>(), prefixes: string[] = [];
  for (const value of values) {
    if (/^[1-5][0-9]{2}$/.test(value)) whole.add(value);
    else if (/^[1-5][0-9]?\+$/.test(value)) prefixes.push(value.slice(0, -1));
    else throw new FilterError(`invalid status code prefix: ${quote(value)}`);
  }
  return ({ code }) => {
    if (code === 0) return false;
    const text = String(code).padStart(3, "0");
    return whole.has(text) || prefixes.some((prefix) => text.startsWith(prefix));
  };
}

/** http_method: equal under simple case folding, which is what a regular expression's flags i and u say together. */
function compileMethods(values: readonly string[]): (http: HTTP) => boolean {
  const tests = [...new Set(values)].map((value) => new RegExp(`^${RegExp.escape(value)}$`, "iu"));
  return ({ method }) => method !== "" && tests.some((test) => test.test(method));
}

function compileTexts(values: readonly string[], budget: Budget): (text: string) => boolean {
  const tests = values.map((value) => within(value, () => compileRegexp(value, budget)));
  return (text) => tests.some((test) => test(text));
}

/** http_status_code, http_method, http_path, http_url, http_header. */
export function compileHttp(filter: FlowFilter, budget: Budget): Predicate[] {
  const predicates: Predicate[] = [];
  if (filter.httpStatusCode.length > 0) {
    checkEventType(filter, "status code");
    predicates.push(onHttp(within("invalid http status code filter", () => compileStatus(filter.httpStatusCode))));
  }
  if (filter.httpMethod.length > 0) {
    checkEventType(filter, "method");
    predicates.push(onHttp(compileMethods(filter.httpMethod)));
  }
  if (filter.httpPath.length > 0) {
    checkEventType(filter, "path");
    const test = within("invalid http path filter", () => compileTexts(filter.httpPath, budget));
    predicates.push(onHttp(({ url }) => {
      const path = requestPath(url);
      return path !== undefined && test(path);
    }));
  }
  if (filter.httpUrl.length > 0) {
    checkEventType(filter, "url");
    const test = within("invalid http url filter", () => compileTexts(filter.httpUrl, budget));
    predicates.push(onHttp(({ url }) => url !== "" && test(url)));
  }
  if (filter.httpHeader.length > 0) {
    checkEventType(filter, "headers");
    const wanted = filter.httpHeader;
    predicates.push(
      onHttp(({ headers }) =>
        headers.some(({ key, value }) => wanted.some((header) => header.key === key && header.value === value))
      ),
    );
  }
  return predicates;
}
