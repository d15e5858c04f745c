import assert from "node:assert/strict";
import { ClusterNodes } from "./cluster_nodes.ts";
import { FileSource } from "./file_source.ts";
import { IpCache } from "./ip_cache.ts";
import { makeIdentity } from "./make.ts";
import { IdentityTable } from "./table.ts";

async function withFile(
  text: string,
  test: (path: string, source: FileSource, cache: IpCache, messages: string[]) => Promise<void>,
) {
  const folder = await Deno.makeTempDir();
  const path = `${folder}/identities.yaml`;
  await Deno.writeTextFile(path, text);
  const cache = new IpCache(new IdentityTable());
  const messages: string[] = [];
  const nodes = new ClusterNodes();
  const source = new FileSource({
    path,
    cache,
    nodes,
    report: (_level, message) => void messages.push(message),
    pollMs: 100_000,
  });
  try {
    await test(path, source, cache, messages);
  } finally {
    source.stop();
    await Deno.remove(folder, { recursive: true });
  }
}

const one = (name: string, ...addresses: string[]) =>
  `  - { addresses: [${addresses.join()}], namespace: ns, pod: ${name} }\n`;

Deno.test("FileSource fills the cache and follows the file", async () => {
  await withFile("identities:\n" + one("a", "10.0.0.1", "10.0.0.2"), async (path, source, cache, messages) => {
    await source.start();
    assert.equal(cache.synced, true);
    assert.equal(cache.get("10.0.0.1")?.pod, "a");
    await Deno.writeTextFile(path, "identities:\n" + one("longer", "10.0.0.2", "10.0.0.3"));
    await source.poll();
    assert.equal(cache.get("10.0.0.1"), undefined);
    assert.equal(cache.get("10.0.0.2")?.pod, "longer");
    assert.equal(cache.get("10.0.0.3")?.pod, "longer");
    assert.match(messages.join(), /Loaded 2 prefixes/);
    await source.poll();
    assert.equal(source.status().loads, 2);
  });
});

Deno.test("FileSource keeps everything when the file is changed to something unusable", async () => {
  await withFile("identities:\n" + one("a", "10.0.0.1"), async (path, source, cache, messages) => {
    await source.start();
    await Deno.writeTextFile(path, "identities:\n" + one("b", "10.0.0.1") + one("c", "10.0.0.1"));
    await source.poll();
    await source.poll();
    assert.equal(cache.get("10.0.0.1")?.pod, "a");
    assert.equal(messages.length, 1);
    assert.match(messages[0], /Kept .*identities.yaml: line 3: 10.0.0.1 is named in line 2 already/);
    assert.equal(source.status().failures, 1);
    await Deno.remove(path);
    await source.poll();
    assert.match(messages[1], /Cannot read .*: no such file/);
    await Deno.writeTextFile(path, "identities:\n" + one("back", "10.0.0.1"));
    await source.poll();
    assert.equal(cache.get("10.0.0.1")?.pod, "back");
    assert.equal(source.status().lastError, "");
  });
});

Deno.test("FileSource.start() refuses a bad file and leaves the cache as it was", async () => {
  await withFile("identities:\n" + one("a", "10.0.0.1") + "  - bad\n", async (_path, source, cache) => {
    await assert.rejects(source.start(), /Cannot use .*identities.yaml: line 3: expected an identity/);
    assert.equal(cache.size, 0);
    assert.equal(cache.synced, false);
  });
});

Deno.test("FileSource is believed before an operator", async () => {
  await withFile("identities:\n" + one("file", "10.0.0.1"), async (_path, source, cache) => {
    cache.set("10.0.0.1", makeIdentity({ pod: "operator" }));
    await source.start();
    assert.equal(cache.get("10.0.0.1")?.pod, "file");
  });
});
