import assert from "node:assert/strict";
import fc from "fast-check";
import { ClusterState, type Kind, KINDS } from "../../src/operator/state/cluster_state.ts";
import type { Json } from "../../src/operator/facts/json.ts";
import { anyStep, idOf } from "./history.ts";
import { meanings, sorted } from "./meaning.ts";
import { type ApiObject, changed, node, pod } from "./objects.ts";
import { keyOf, truth } from "./truth.ts";

const json = (one: ApiObject) => one as unknown as Json;

Deno.test("ClusterState equals the truth after any history, taken in any portions", () => {
  fc.assert(
    fc.property(fc.array(fc.tuple(anyStep, fc.boolean()), { maxLength: 60 }), (steps) => {
      const state = new ClusterState("");
      const world = new Map<string, ApiObject>();
      const told = new Map<string, unknown>();
      const take = () => {
        for (const { prefix, entry } of state.takeChanges()) {
          if (entry === undefined) assert.ok(told.delete(prefix), `${prefix} was deleted twice`);
          else told.set(prefix, entry);
        }
      };
      for (const [step, flush] of steps) {
        if ("set" in step) {
          world.set(idOf(step.set), step.set);
          state.store(step.set.kind as Kind).upsert(json(step.set));
        } else {
          const gone = world.get(step.drop);
          if (gone !== undefined) state.store(gone.kind as Kind).remove(json(gone));
          world.delete(step.drop);
        }
        if (flush) take();
      }
      take();
      assert.deepEqual(meanings(state.entries), sorted(truth([...world.values()])));
      assert.deepEqual(told, new Map(state.entries));
    }),
    { numRuns: 400 },
  );
});

Deno.test("ClusterState.store().retain() forgets what a listing does not contain", () => {
  fc.assert(
    fc.property(fc.array(anyStep, { maxLength: 40 }), fc.array(anyStep, { maxLength: 40 }), (before, after) => {
      const state = new ClusterState("");
      const first = worldOf(before), second = worldOf(after);
      for (const one of first.values()) state.store(one.kind as Kind).upsert(json(one));
      state.takeChanges();
      // The second world is listed, kind by kind, as after a gap.
      for (const kind of KINDS) {
        const keys = new Set<string>();
        for (const one of second.values()) {
          if (one.kind === kind) keys.add(state.store(kind).upsert(json(one))!);
        }
        state.store(kind).retain(keys);
      }
      state.takeChanges();
      assert.deepEqual(meanings(state.entries), sorted(truth([...second.values()])));
    }),
    { numRuns: 200 },
  );
});

Deno.test("ClusterState gives everything back when everything is gone", () => {
  fc.assert(
    fc.property(fc.array(anyStep, { maxLength: 40 }), (steps) => {
      const state = new ClusterState("");
      for (const step of steps) if ("set" in step) state.store(step.set.kind as Kind).upsert(json(step.set));
      for (const kind of KINDS) state.store(kind).retain(new Set());
      state.takeChanges();
      const { entries, pods, services, nodes, namespaces, slices, owners, identities, collisions } = state.stats();
      assert.deepEqual(
        { entries, pods, services, nodes, namespaces, slices, owners, identities, collisions },
        {
          entries: 0,
          pods: 0,
          services: 0,
          nodes: 0,
          namespaces: 0,
          slices: 0,
          owners: 0,
          identities: 0,
          collisions: 0,
        },
      );
    }),
    { numRuns: 100 },
  );
});

function worldOf(steps: readonly (typeof anyStep extends fc.Arbitrary<infer S> ? S : never)[]): Map<string, ApiObject> {
  const world = new Map<string, ApiObject>();
  for (const step of steps) {
    if ("set" in step) world.set(idOf(step.set), step.set);
    else world.delete(step.drop);
  }
  return world;
}

Deno.test("keyOf() of the tests is the operator's key", () => {
  const state = new ClusterState("");
  const one = { apiVersion: "v1", kind: "Pod", metadata: { name: "a", namespace: "ns", uid: "u" } };
  assert.equal(state.store("Pod").upsert(json(one)), keyOf(one));
});

Deno.test("ClusterState has nothing to say about updates that change nothing for agents", () => {
  const state = new ClusterState("");
  const one = pod("shop", "a", ["10.1.0.2"], { labels: { app: "x" } });
  const machine = node("node-1", ["172.18.0.2"]);
  state.store("Pod").upsert(json(one));
  state.store("Node").upsert(json(machine));
  assert.equal(state.takeChanges().length, 2);
  // A kubelet's heartbeat, a condition of a pod, a label of one rollout.
  state.store("Node").upsert(json(changed(machine, { status: { conditions: [{ type: "Ready" }] } })));
  state.store("Pod").upsert(json(changed(one, { status: { conditions: [], message: "x" } })));
  state.store("Pod").upsert(json(changed(one, { metadata: { labels: { app: "x", "controller-uid": "u" } } })));
  assert.equal(state.pending, false);
  // There and back again within one batch.
  state.store("Pod").upsert(json(changed(one, { metadata: { labels: { app: "y" } } })));
  state.store("Pod").upsert(json(one));
  assert.deepEqual(state.takeChanges(), []);
});

Deno.test("ClusterState ignores the deletion of an object that has been replaced", () => {
  const state = new ClusterState("");
  const first = pod("shop", "db-0", ["10.1.0.2"]), second = pod("shop", "db-0", ["10.1.0.3"]);
  state.store("Pod").upsert(json(first));
  state.store("Pod").upsert(json(second));
  state.store("Pod").remove(json(first));
  state.takeChanges();
  assert.deepEqual([...state.entries.keys()], ["10.1.0.3"]);
});
