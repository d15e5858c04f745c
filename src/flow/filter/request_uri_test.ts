import assert from "node:assert/strict";
import { requestPath } from "./request_uri.ts";

Deno.test("requestPath() finds the path that Go's url.ParseRequestURI finds", () => {
  const cases: [string, string | undefined][] = [
    ["/docs/a?x=1", "/docs/a"],
    ["/", "/"],
    ["", undefined],
    ["*", "*"],
    ["docs", undefined],
    ["http://a.b/post/7?x=1", "/post/7"],
    ["HTTP://a.b", ""],
    ["http:/a", "/a"],
    ["http:a", ""],
    ["1http://a/b", undefined],
    [":a", undefined],
    ["//host/path", "//host/path"],
    ["/a%20b%2Fc", "/a b/c"],
    ["/a%2", undefined],
    ["/a%zz", undefined],
    ["/%ff", "/\ufffd"],
    ["/a#b", "/a#b"],
    ["/é", "/é"],
    ["/a\u0007", undefined],
    ["http://user:pass@host/x", "/x"],
    ["http://us er@host/x", undefined],
    ["http://u%zz@host/x", undefined],
    ["http://host:80/x", "/x"],
    ["http://host:x/x", undefined],
    ["http://a b/x", undefined],
    ["http://h%41/x", undefined],
    ["http://h%e9/x", "/x"],
    ["http://[::1]:80/x", "/x"],
    ["http://[::1/x", undefined],
    ["http://[1.2.3.4]/x", undefined],
    ["http://a[::1]/x", undefined],
    ["http://[fe80::1%25en0]/x", "/x"],
    ["http://[fe80::1%25%23]/x", undefined],
  ];
  for (const [uri, path] of cases) assert.equal(requestPath(uri), path, uri);
});

Deno.test("requestPath() takes a URI of any length", () => {
  const start = performance.now();
  for (const part of ["a", "%20", "/", "é"]) {
    const long = part.repeat(300_000);
    assert.equal(requestPath(`/${long}`), `/${decodeURIComponent(long)}`);
    requestPath(`http://${long}/x`);
    requestPath(`http://${long}@host/x`);
    requestPath(`http://[::1%25${long}]/x`);
  }
  assert.ok(performance.now() - start < 15_000);
});
