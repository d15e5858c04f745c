import assert from "node:assert/strict";
import { IpCache } from "../identity/ip_cache.ts";
import { makeIdentity } from "../identity/make.ts";
import { IdentityTable } from "../identity/table.ts";
import { debugHandlers } from "./debug.ts";
import { parseOptions } from "./options.ts";

const cache = new IpCache(new IdentityTable());
cache.set("10.0.0.2", makeIdentity({ namespace: "shop", pod: "web-1", labels: ["k8s:app=web"], numeric: 4242 }));
cache.set("10.1.0.0/16", makeIdentity({ service: "dns", namespace: "kube-system" }));

const handlers = debugHandlers({
  options: parseOptions([], { env: () => undefined, hostname: () => "n1" }),
  ipCache: cache,
  readKernelFile: (path) => Deno.readTextFileSync(path),
  state: () => ({ flow_store: { capacity: 65536n } }),
});

async function get(path: string): Promise<Response> {
  const url = new URL(path, "http://localhost");
  return await handlers[url.pathname](url, new AbortController().signal);
}

Deno.test("/debug/config shows every option and the state", async () => {
  const body = await (await get("/debug/config")).json();
  assert.equal(body.config.hubblePort, 4244);
  assert.equal(body.config.nodeName, "n1");
  assert.deepEqual(body.flow_store, { capacity: "65536" });
});

Deno.test("/debug/ipcache lists prefixes in order with the fields that are set", async () => {
  assert.deepEqual(await (await get("/debug/ipcache")).json(), {
    "10.0.0.2": { numeric: 4242, namespace: "shop", pod: "web-1", labels: ["k8s:app=web"] },
    "10.1.0.0/16": { numeric: 2, namespace: "kube-system", service: "dns" },
  });
});

Deno.test("/debug/mem reports the resident set", async () => {
  assert.ok((await (await get("/debug/mem")).json()).status.rss > 0);
});

Deno.test("/debug/pprof/profile bounds its parameters and names the value", async () => {
  for (const query of ["seconds=0", "seconds=301", "seconds=1e3", "frequency=0", "frequency=99999"]) {
    const response = await get(`/debug/pprof/profile?${query}`);
    assert.equal(response.status, 400, query);
    assert.ok((await response.text()).includes(query), query);
  }
});

Deno.test("/debug/pprof/profile gives a profile to one, and 409 to who asks while it is being taken", async () => {
  // Which one comes first is open: the profiler is loaded with the first request.
  const responses = await Promise.all([1, 2].map(() => get("/debug/pprof/profile?seconds=1&frequency=100")));
  const [taken, refused] = responses.sort((a, b) => a.status - b.status);
  assert.deepEqual([taken.status, refused.status], [200, 409]);
  await refused.body?.cancel();
  assert.ok((await taken.arrayBuffer()).byteLength > 0);
});
