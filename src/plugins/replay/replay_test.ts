import assert from "node:assert/strict";
import { fixture } from "../../flow/test_support.ts";
import type { Flow } from "../../../proto/gen/flow/flow_pb.ts";
import { createReplay, type ReplayOptions } from "./replay.ts";

const line = (second: number, port = second) =>
  `{"flow":{"time":"2025-01-02T03:04:${String(second).padStart(2, "0")}Z","l4":{"UDP":{"source_port":${port}}}}}\n`;

interface Result {
  readonly ports: (number | string)[];
  readonly reports: string[];
  readonly detail: string;
}

async function replayed(path: string, options: Partial<ReplayOptions> = {}, capacity = 1024): Promise<Result> {
  const { store } = fixture({ capacity });
  const reports: string[] = [];
  const replay = createReplay({ path, speed: 0, store, report: (text) => reports.push(text), ...options });
  await replay.start();
  await replay.finished;
  const ports: (number | string)[] = [];
  for (let position = store.oldest; position < store.head; position++) {
    const message = store.message(position);
    const protocol = message?.$typeName === "flow.Flow" ? (message as Flow).l4?.protocol : undefined;
    ports.push(protocol?.case === "UDP" ? protocol.value.sourcePort : message?.$typeName ?? "nothing");
  }
  return { ports, reports, detail: replay.health().detail };
}

async function withFile(
  name: string,
  content: Uint8Array | string,
  run: (path: string) => Promise<void>,
): Promise<void> {
  const folder = await Deno.makeTempDir();
  const path = `${folder}/${name}`;
  await Deno.writeFile(path, typeof content === "string" ? new TextEncoder().encode(content) : content);
  try {
    await run(path);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

Deno.test("createReplay() pushes the flows of a file in their order", async () => {
  await withFile("flows.json", line(1) + line(3) + line(2), async (path) => {
    const { ports, reports, detail } = await replayed(path);
    assert.deepEqual(ports, [1, 3, 2]);
    assert.deepEqual(reports, [`Replayed 3 flows of ${path}`]);
    assert.match(detail, /3 flows .*0 bad lines, done/);
  });
});

Deno.test("createReplay() reads standard input and gzip", async () => {
  const stdin = new Blob([line(1), line(2)]).stream();
  assert.deepEqual((await replayed("-", { stdin })).ports, [1, 2]);
  const gzip = new Blob([line(7)]).stream().pipeThrough(new CompressionStream("gzip"));
  await withFile("flows.json.gz", await new Response(gzip).bytes(), async (path) => {
    assert.deepEqual((await replayed(path)).ports, [7]);
  });
});

Deno.test("createReplay() skips bad lines, names the first and counts the rest", async () => {
  await withFile("flows.json", line(1) + "nonsense\n".repeat(15) + line(2), async (path) => {
    const { ports, reports, detail } = await replayed(path);
    assert.deepEqual(ports, [1, 2]);
    assert.equal(reports[0], `Skipped line 2 of ${path}: no JSON`);
    assert.deepEqual(reports.slice(10), [`Skipped 15 bad lines of ${path}`, `Replayed 2 flows of ${path}`]);
    assert.match(detail, /15 bad lines/);
  });
});

Deno.test("createReplay() says that a store is too small for a file", async () => {
  await withFile("flows.json", Array.from({ length: 20 }, (_, i) => line(i)).join(""), async (path) => {
    const { ports, reports } = await replayed(path, {}, 16);
    assert.equal(ports[0], 4);
    assert.match(reports.at(-1)!, /last 16 flows are kept: use a larger --flow-capacity/);
  });
});

Deno.test("createReplay() keeps lost events", async () => {
  await withFile("f", line(1) + '{"lost_events":{},"time":"2025-01-02T03:04:05Z"}\n' + line(2), async (path) => {
    assert.deepEqual((await replayed(path)).ports, [1, "flow.LostEvent", 2]);
  });
});

Deno.test("createReplay() keeps the distances of the flows, at a multiple of their speed", async () => {
  await withFile("flows.json", line(0) + line(1) + line(2), async (path) => {
    const begin = performance.now();
    assert.deepEqual((await replayed(path, { speed: 20 })).ports, [0, 1, 2]);
    const elapsed = performance.now() - begin;
    assert.ok(elapsed >= 95, `${elapsed} ms`);
  });
});

Deno.test("createReplay() stops while it waits for a flow", async () => {
  await withFile("flows.json", line(0) + line(59), async (path) => {
    const { store } = fixture();
    const replay = createReplay({ path, speed: 1, store, report: () => {} });
    await replay.start();
    while (store.head === 0) await new Promise((resolve) => setTimeout(resolve, 1));
    await replay.stop();
    assert.equal(store.head, 1);
  });
});

Deno.test("createReplay() stops while standard input is silent", async () => {
  const { store } = fixture();
  const stdin = new ReadableStream<Uint8Array>({
    start: (controller) => controller.enqueue(new TextEncoder().encode(line(1))),
  });
  const replay = createReplay({ path: "-", speed: 0, store, report: () => {}, stdin });
  await replay.start();
  while (store.head === 0) await new Promise((resolve) => setTimeout(resolve, 1));
  await replay.stop();
});

Deno.test("createReplay() names a file that it cannot open", async () => {
  await assert.rejects(replayed("/no/such/file"), { message: "Cannot replay /no/such/file: no such file" });
  await assert.rejects(replayed("/proc"), /^Error: Cannot replay \/proc: it is a folder/);
});

Deno.test("createReplay() tells of a file that breaks off, and keeps what it had", async () => {
  const reports: string[] = [];
  const { store } = fixture();
  const stdin = new ReadableStream<Uint8Array>({
    start: (controller) => controller.enqueue(new TextEncoder().encode(`${line(1)}\n`)),
    pull: (controller) => controller.error(new Error("disk on fire")),
  }, { highWaterMark: 0 });
  const replay = createReplay({ path: "-", stdin, speed: 0, store, report: (text) => reports.push(text) });
  await replay.start();
  await replay.finished;
  assert.deepEqual(reports, ["Failed to read -: disk on fire"]);
  assert.deepEqual(replay.health().problems, reports);
  assert.equal(store.head, 1);
});
