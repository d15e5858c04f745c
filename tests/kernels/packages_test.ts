import assert from "node:assert/strict";
import fc from "fast-check";
import { chooseKernel, compareVersions, findMirror, isKernelPart, parseIndex, sourcesList } from "./packages.ts";

Deno.test("findMirror() takes Debian's archives from the machine's sources", () => {
  assert.deepEqual(
    findMirror(
      "http://one.example/x/ bookworm\nhttp://one.example/x/ bookworm-updates\nhttp://two.example/ bookworm-security\n",
    ),
    { archive: "http://one.example/x/", security: "http://two.example/" },
  );
  assert.deepEqual(findMirror("http://one.example/ trixie"), { archive: "http://one.example/" });
});

Deno.test("findMirror() knows nothing where no source is Debian's", () => {
  assert.equal(findMirror(""), undefined);
  assert.equal(findMirror("http://ubuntu.example/ noble\nhttp://tools.example/ nodistro"), undefined);
  assert.equal(findMirror("http://two.example/ bookworm-security"), undefined);
});

Deno.test("sourcesList() has a line for every suite, and security lines where there is such a mirror", () => {
  const plain = sourcesList({ archive: "http://one.example/" }, undefined);
  assert.match(plain, /^deb http:\/\/one\.example\/ bullseye main\n/);
  assert.doesNotMatch(plain, /security/);
  const full = sourcesList({ archive: "http://one.example/", security: "http://two.example/" }, "/keys.gpg");
  assert.match(full, /^deb \[signed-by=\/keys\.gpg\] http:\/\/two\.example\/ bullseye-security main$/m);
});

Deno.test("parseIndex() reads names, versions and dependencies", () => {
  const text = `Package: a
Version: 1:2.3-4
Depends: b (= 1), c | d (>= 2) [amd64],
 e:any
Description: text
 with lines

Package: without-version

Package: f
Version: 1
`;
  assert.deepEqual(parseIndex(text), [
    { name: "a", version: "1:2.3-4", depends: ["b", "c", "d", "e"] },
    { name: "f", version: "1", depends: [] },
  ]);
  assert.deepEqual(parseIndex(""), []);
});

Deno.test("compareVersions() orders as dpkg does", () => {
  const sorted = [
    ["5.10.223-1", "5.10.262-1"],
    ["6.1.176-1", "6.12.107-1"],
    ["7.2.13-1", "7.3.4-1~bpo13+1"],
    ["7.3.4-1~bpo13+1", "7.3.4-1"],
    ["7.3~rc4-1", "7.3-1"],
    ["1.0", "1.0a"],
    ["1.0a", "1.0+"],
    ["9.9", "1:0.1"],
    ["1", "1-1"],
  ];
  for (const [lower, higher] of sorted) {
    assert(compareVersions(lower, higher) < 0, `${lower} < ${higher}`);
    assert(compareVersions(higher, lower) > 0, `${higher} > ${lower}`);
  }
  assert.equal(compareVersions("1.02-3", "1.2-3"), 0);
});

Deno.test("compareVersions() is an order", () => {
  const version = fc.stringMatching(/^\d{1,2}[0-9a-z.+~]{0,5}(-[0-9a-z.+~]{1,3})?$/);
  fc.assert(fc.property(version, version, version, (a, b, c) => {
    assert.equal(Math.sign(compareVersions(a, b)), -Math.sign(compareVersions(b, a)) + 0);
    if (compareVersions(a, b) <= 0 && compareVersions(b, c) <= 0) assert(compareVersions(a, c) <= 0);
  }));
});

Deno.test("chooseKernel() takes the newest of a series, or of all", () => {
  const packages = ["5.10.223-1", "6.1.176-1", "5.10.262-1", "6.12.107-1", "7.3.4-1~bpo13+1", "7.2.13-1"]
    .map((version) => ({ name: "linux-image-cloud-amd64", version, depends: [] }))
    .concat({ name: "linux-image-amd64", version: "9.9-1", depends: [] });
  assert.equal(chooseKernel(packages, "5.10")?.version, "5.10.262-1");
  assert.equal(chooseKernel(packages, "6.1")?.version, "6.1.176-1");
  assert.equal(chooseKernel(packages, "newest")?.version, "7.3.4-1~bpo13+1");
  assert.equal(chooseKernel(packages, "4.19"), undefined);
});

Deno.test("isKernelPart() tells versioned packages from metapackages", () => {
  assert(isKernelPart("linux-image-6.1.0-50-cloud-amd64"));
  assert(isKernelPart("linux-modules-7.3.4+deb13-cloud-amd64"));
  assert(!isKernelPart("linux-image-cloud-amd64"));
  assert(!isKernelPart("initramfs-tools"));
});
