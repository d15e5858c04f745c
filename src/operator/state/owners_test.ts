import assert from "node:assert/strict";
import { Owners } from "./owners.ts";

function replicaSet(uid: string, parent?: string, kind = "Deployment") {
  const ownerReferences = parent === undefined ? [] : [{ uid: "d", kind, name: parent, controller: true }];
  return { metadata: { uid, ownerReferences } };
}

/** A pod that notes how often it was told of another owner. */
function newPod() {
  return {
    told: 0,
    ownerChanged() {
      this.told++;
    },
  };
}

const reference = { uid: "rs", kind: "ReplicaSet", name: "web-5d4f" };

Deno.test("Owners finds the Deployment behind a ReplicaSet and the CronJob behind a Job", () => {
  const owners = new Owners();
  owners.upsert(replicaSet("rs", "web"));
  owners.upsert(replicaSet("job", "nightly", "CronJob"));
  assert.deepEqual(owners.join(reference, "5d4f", newPod()).workloads, [{ kind: "Deployment", name: "web" }]);
  const job = { uid: "job", kind: "Job", name: "nightly-x" };
  assert.deepEqual(owners.join(job, "", newPod()).workloads, [{ kind: "CronJob", name: "nightly" }]);
});

Deno.test("Owners guesses by name until it knows, and tells pods when the guess was wrong", () => {
  const owners = new Owners();
  const pod = newPod();
  const owner = owners.join(reference, "5d4f", pod);
  assert.deepEqual(owner.workloads, [{ kind: "Deployment", name: "web" }]);
  owners.upsert(replicaSet("rs", "web"));
  assert.equal(pod.told, 0);
  owners.upsert(replicaSet("rs", "web", "Rollout"));
  assert.deepEqual([owner.workloads, pod.told], [[{ kind: "Rollout", name: "web" }], 1]);
  owners.upsert(replicaSet("rs"));
  assert.deepEqual([owner.workloads, pod.told], [[{ kind: "ReplicaSet", name: "web-5d4f" }], 2]);
  owners.leave(reference, "5d4f", pod);
  owners.upsert(replicaSet("rs", "other"));
  assert.equal(pod.told, 2);
});

Deno.test("Owners does not guess what names do not tell", () => {
  const owners = new Owners();
  const workload = (kind: string, name: string, hash = "") => {
    const [found] = owners.join({ uid: `${kind}-${name}`, kind, name }, hash, newPod()).workloads;
    return found && `${found.kind}/${found.name}`;
  };
  assert.equal(workload("ReplicaSet", "web-5d4f", "other"), "ReplicaSet/web-5d4f");
  assert.equal(workload("ReplicaSet", "web-5d4f"), "ReplicaSet/web-5d4f");
  assert.equal(workload("Job", "report-28000000"), "CronJob/report");
  assert.equal(workload("Job", "report-2024"), "Job/report-2024");
  assert.equal(workload("StatefulSet", "db"), "StatefulSet/db");
  assert.equal(workload("Node", "node-1"), undefined);
});
