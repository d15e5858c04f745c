import assert from "node:assert/strict";
import { gunzipSync } from "node:zlib";
import { fromBinary } from "@bufbuild/protobuf";
import fc from "fast-check";
import {
  BatchKind,
  type IpCacheBatch,
  IpCacheBatchSchema,
  IpCacheUpdate_UpdateType as UpdateType,
} from "../../../proto/gen/ipcache/ipcache_pb.ts";
import { type Entry, makeEntry } from "../../identity/entry.ts";
import { ChangeLog } from "./change_log.ts";
import { LogReader } from "./reader.ts";
import { type Frame, MAX_MESSAGE, PROTOCOL_VERSION } from "./wire.ts";

function podEntry(name: string, labels: string[] = []): Entry {
  return makeEntry({
    numeric: 1000,
    namespace: "ns",
    pod: name,
    labels,
    workloads: [{ name: "web", kind: "Deployment" }],
  });
}

function newLog(maxBytes = 1 << 20) {
  const entries = new Map<string, Entry>();
  const log = new ChangeLog({ epoch: 7n, entries, maxBytes });
  const apply = (...changes: [prefix: string, entry: Entry | undefined][]) => {
    for (const [prefix, entry] of changes) {
      if (entry === undefined) entries.delete(prefix);
      else entries.set(prefix, entry);
    }
    log.append(changes.map(([prefix, entry]) => ({ prefix, entry })));
  };
  return { log, entries, apply };
}

function decode(frame: Frame): IpCacheBatch {
  const bytes = frame.bytes(false);
  assert.equal(bytes[0], 0);
  assert.equal(new DataView(bytes.buffer).getUint32(1), bytes.length - 5);
  return fromBinary(IpCacheBatchSchema, bytes.subarray(5));
}

/** An agent that applies batches as the protocol says, and reads only when told to. */
class Agent {
  readonly names = new Map<string, string>();
  epoch = 0n;
  revision = 0n;
  syncs = 0;
  finished = false;
  resyncs = 0;
  resumes = 0;
  #inFlight: { batch: IpCacheBatch; flushed: () => void } | undefined;
  #named: Set<string> | undefined;
  #snapshotRevision = 0n;
  #reader: LogReader;

  constructor(log: ChangeLog, from?: number) {
    const sink = {
      finished: false,
      write: (bytes: Uint8Array, flushed: () => void) => {
        assert.equal(this.#inFlight, undefined, "a second frame before the first one has left");
        this.#inFlight = { batch: fromBinary(IpCacheBatchSchema, bytes.subarray(5)), flushed };
      },
    };
    const events = {
      onSnapshot: (resync: boolean) => void (resync && this.resyncs++),
      onResume: () => void this.resumes++,
    };
    this.#reader = new LogReader(log, sink, from, false, events);
  }

  get lag(): number {
    return this.#reader.lag;
  }

  stop(): void {
    this.#reader.stop();
  }

  /** Reads at most `count` frames. */
  read(count = Infinity): void {
    for (; count > 0 && this.#inFlight !== undefined; count--) {
      const { batch, flushed } = this.#inFlight;
      this.#inFlight = undefined;
      this.#apply(batch);
      flushed();
    }
  }

  #apply(batch: IpCacheBatch): void {
    if (batch.kind === BatchKind.SNAPSHOT && (this.#named === undefined || this.#snapshotRevision !== batch.revision)) {
      this.#named = new Set();
      this.#snapshotRevision = batch.revision;
    }
    for (const update of batch.updates) {
      if (update.updateType === UpdateType.SYNC_COMPLETE) {
        this.syncs++;
        for (const prefix of this.names.keys()) if (this.#named?.has(prefix) === false) this.names.delete(prefix);
        this.#named = undefined;
      } else if (update.updateType === UpdateType.DELETE) {
        this.names.delete(update.ip);
        this.#named?.delete(update.ip);
      } else {
        this.names.set(update.ip, update.podName);
        this.#named?.add(update.ip);
      }
    }
    if (batch.kind === BatchKind.CHANGES && this.#named === undefined) {
      this.epoch = batch.epoch;
      this.revision = batch.revision;
    }
  }
}

Deno.test("ChangeLog frames carry epoch, revision and the whole entry", () => {
  const { log, apply } = newLog();
  apply([
    "10.0.0.1",
    makeEntry({
      numeric: 300,
      namespace: "ns",
      pod: "p",
      service: "s",
      node: "n",
      cluster: "c",
      labels: ["k8s:a=b"],
      workloads: [{ name: "w", kind: "Deployment" }],
      nodeAddress: true,
    }),
  ], ["10.0.0.2", undefined]);
  const batch = decode(log.after(0)!);
  assert.equal(batch.epoch, 7n);
  assert.equal(batch.revision, 1n);
  assert.equal(batch.protocolVersion, PROTOCOL_VERSION);
  assert.equal(batch.kind, BatchKind.CHANGES);
  const [upsert, remove] = batch.updates;
  const { $typeName: _, workloads, ...plain } = upsert;
  assert.deepEqual(plain, {
    updateType: UpdateType.UPSERT,
    ip: "10.0.0.1",
    namespace: "ns",
    podName: "p",
    serviceName: "s",
    nodeName: "n",
    labels: ["k8s:a=b"],
    identity: 300,
    clusterName: "c",
    nodeAddress: true,
  });
  assert.deepEqual(workloads.map(({ name, kind }) => ({ name, kind })), [{ name: "w", kind: "Deployment" }]);
  assert.equal(remove.updateType, UpdateType.DELETE);
  assert.equal(remove.ip, "10.0.0.2");
});

Deno.test("ChangeLog splits what is larger than a message, one revision a frame", () => {
  const { log, apply } = newLog(1 << 30);
  const label = `k8s:a=${"x".repeat(4000)}`;
  apply(
    ...Array.from(
      { length: 1000 },
      (_, i) => [`10.0.${i >> 8}.${i & 255}`, podEntry(`p${i}`, [label])] as [string, Entry],
    ),
  );
  assert.ok(log.revision >= 4);
  let seen = 0;
  for (let revision = 0; revision < log.revision; revision++) {
    const frame = log.after(revision)!;
    assert.ok(frame.length <= MAX_MESSAGE + 5, `${frame.length}`);
    const batch = decode(frame);
    assert.equal(batch.revision, BigInt(revision + 1));
    seen += batch.updates.length;
  }
  assert.equal(seen, 1000);
  const snapshot = log.snapshot();
  assert.equal(snapshot.frames.reduce((sum, frame) => sum + decode(frame).updates.length, 0), 1000);
  assert.equal(log.snapshot(), snapshot);
  assert.deepEqual([...gunzipSync(snapshot.frames[0].bytes(true).subarray(5))], [...snapshot.frames[0].message]);
  assert.equal(snapshot.frames[0].bytes(true)[0], 1);
});

Deno.test("LogReader sends a snapshot, SYNC_COMPLETE and then changes", () => {
  const { log, apply } = newLog();
  apply(["10.0.0.1", podEntry("a")]);
  const agent = new Agent(log);
  agent.read();
  assert.deepEqual([...agent.names], [["10.0.0.1", "a"]]);
  assert.equal(agent.syncs, 1);
  apply(["10.0.0.2", podEntry("b")], ["10.0.0.1", undefined]);
  agent.read();
  assert.deepEqual([...agent.names], [["10.0.0.2", "b"]]);
  assert.deepEqual([agent.epoch, agent.revision, agent.lag], [7n, 2n, 0]);
  agent.stop();
});

Deno.test("LogReader tells an agent of an empty cluster that there is nothing", () => {
  const { log } = newLog();
  const agent = new Agent(log);
  agent.names.set("10.0.0.9", "stale");
  agent.read();
  assert.equal(agent.names.size, 0);
  assert.equal(agent.syncs, 1);
  agent.stop();
});

Deno.test("LogReader resumes from a revision that the log still has, and only then", () => {
  const { log, apply } = newLog();
  for (let i = 0; i < 5; i++) apply([`10.0.0.${i}`, podEntry(`p${i}`)]);
  const agent = new Agent(log, 3);
  agent.read();
  assert.deepEqual([...agent.names.keys()], ["10.0.0.3", "10.0.0.4"]);
  assert.deepEqual([agent.resumes, agent.syncs, log.snapshots], [1, 1, 0]);
  const ahead = new Agent(log, 6);
  ahead.read();
  assert.deepEqual([ahead.resumes, ahead.names.size, log.snapshots], [0, 5, 1]);
  agent.stop();
  ahead.stop();
});

Deno.test("LogReader resyncs an agent that is too slow; the log stays within its size", () => {
  const { log, apply, entries } = newLog(4096);
  const slow = new Agent(log);
  for (let i = 0; i < 1000; i++) apply([`10.0.0.${i % 50}`, i % 7 === 0 ? undefined : podEntry(`p${i}`)]);
  assert.ok(log.bytes <= 4096);
  slow.read();
  assert.ok(slow.resyncs > 0);
  assert.deepEqual(new Map([...slow.names].sort()), new Map([...entries].map(([k, e]) => [k, e.pod] as const).sort()));
  slow.stop();
});

Deno.test("Every agent equals the log's state, whatever the pace and however often it reconnects", () => {
  const change = fc.tuple(fc.nat(12), fc.option(fc.nat(9), { nil: undefined }));
  const action = fc.oneof(
    { weight: 3, arbitrary: fc.array(change, { minLength: 1, maxLength: 4 }) },
    { weight: 2, arbitrary: fc.nat(3).map((read) => ({ read })) },
    { weight: 1, arbitrary: fc.constant("reconnect" as const) },
  );
  fc.assert(
    fc.property(fc.array(action, { maxLength: 80 }), fc.constantFrom(100, 400, 1 << 20), (actions, maxBytes) => {
      const { log, entries, apply } = newLog(maxBytes);
      let agent = new Agent(log);
      for (const one of actions) {
        if (one === "reconnect") {
          agent.stop();
          const next: Agent = new Agent(log, agent.epoch === 7n ? Number(agent.revision) : undefined);
          for (const [prefix, name] of agent.names) next.names.set(prefix, name);
          next.epoch = agent.epoch;
          next.revision = agent.revision;
          agent = next;
        } else if ("read" in one) agent.read(one.read);
        else {apply(...one.map(([n, v]) =>
            [`10.0.0.${n}`, v === undefined ? undefined : podEntry(`p${v}`)] as [string, Entry | undefined]
          ));}
      }
      agent.read();
      agent.stop();
      assert.deepEqual(
        new Map([...agent.names].sort()),
        new Map([...entries].map(([k, e]) => [k, e.pod] as const).sort()),
      );
      assert.equal(agent.revision, BigInt(log.revision));
    }),
  );
});
