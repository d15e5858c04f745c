/**
 * The test API server as a program, for tests that run the control plane in network namespaces.
 *
 *     deno run -A tests/cluster/serve.ts FOLDER
 *
 * Writes FOLDER/kubeconfig and prints `ready`. What FOLDER/world.json holds (a list of objects) is what the cluster holds: the
 * file is read again whenever it changes.
 */
import { ApiServer } from "./api_server.ts";
import { idOf } from "./history.ts";
import type { ApiObject } from "./objects.ts";

const [folder] = Deno.args;
const api = await ApiServer.start();
const written = new Map<string, string>();
let seen = "";

async function reconcile(): Promise<void> {
  const text = await Deno.readTextFile(`${folder}/world.json`);
  if (text === seen) return;
  const world = JSON.parse(text) as ApiObject[];
  seen = text;
  const present = new Set(world.map(idOf));
  for (const id of [...written.keys()]) {
    if (present.has(id)) continue;
    api.delete(id);
    written.delete(id);
  }
  for (const one of world) {
    const now = JSON.stringify(one);
    if (written.get(idOf(one)) === now) continue;
    api.set(one);
    written.set(idOf(one), now);
  }
}

await reconcile();
await api.writeKubeconfig(`${folder}/kubeconfig`);
console.log("ready");
// A file that is being written is no JSON yet: the next look finds it whole.
const timer = setInterval(() => void reconcile().catch(() => {}), 50);
for await (const _ of Deno.stdin.readable) { /* until the one who started this ends it */ }
clearInterval(timer);
await api.stop();
