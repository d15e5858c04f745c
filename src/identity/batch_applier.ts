import {
  BatchKind,
  type IpCacheBatch,
  type IpCacheUpdate,
  IpCacheUpdate_UpdateType as UpdateType,
} from "../../proto/gen/ipcache/ipcache_pb.ts";
import { formatPrefix, parsePrefix } from "./address.ts";
import type { ClusterNodes } from "./cluster_nodes.ts";
import type { Entry } from "./entry.ts";
import type { IpCache } from "./ip_cache.ts";
import { makeIdentity } from "./make.ts";
import { resolveEntry } from "./resolve.ts";

/** What one stream has said so far. */
export interface ApplierStats {
  readonly upserts: number;
  readonly deletes: number;
  /** Updates whose prefix could not be read. */
  readonly malformed: number;
  /** Entries that a snapshot removed because it did not name them: what was missed while there was no operator. */
  readonly swept: number;
}

/** Labels and workloads that all pods of one workload share. */
interface Shared {
  readonly namespace: string;
  readonly labels: readonly string[];
  readonly workloads: readonly { readonly name: string; readonly kind: string }[];
}

/**
 * Applies an operator's batches to the cache. It outlives connections: names stay while there is no operator, and a
 * snapshot is compared with what is there, so that they neither vanish in a restart nor stay when they are wrong.
 */
export class BatchApplier {
  readonly #cache: IpCache;
  readonly #nodes: ClusterNodes;
  readonly #shared = new Map<number, Shared>();
  /** Where this operator said that a node is reached. */
  readonly #nodePrefixes = new Set<string>();
  /** Prefixes that the snapshot in progress named. */
  #named: Set<string> | undefined;
  #snapshotRevision = 0n;
  /** Everything before the first SYNC_COMPLETE of a stream is a snapshot, if the operator knows no revisions. */
  #firstVersion = false;
  #epoch = 0n;
  #revision = 0n;
  #upserts = 0;
  #deletes = 0;
  #malformed = 0;
  #swept = 0;

  constructor(cache: IpCache, nodes: ClusterNodes) {
    this.#cache = cache;
    this.#nodes = nodes;
  }

  /** Where a new stream may resume: epoch and revision of the last state that is here completely; zero for none. */
  get position(): { readonly epoch: bigint; readonly revision: bigint } {
    return { epoch: this.#epoch, revision: this.#revision };
  }

  stats(): ApplierStats {
    return { upserts: this.#upserts, deletes: this.#deletes, malformed: this.#malformed, swept: this.#swept };
  }

  /** Begins a stream: a snapshot that the last one did not finish is void. */
  begin(): void {
    this.#named = undefined;
    this.#firstVersion = false;
  }

  /** Applies one batch. Says whether it completed a synchronisation, and whether the operator is about to stop. */
  apply(batch: IpCacheBatch): { readonly synced: boolean; readonly shutdown: boolean } {
    const versionless = batch.protocolVersion === 0 && batch.epoch === 0n;
    if (versionless ? !this.#firstVersion : this.#beginsSnapshot(batch)) {
      this.#named = new Set();
      this.#snapshotRevision = batch.revision;
      this.#firstVersion = versionless;
    }
    let synced = false, shutdown = false;
    for (const update of batch.updates) {
      if (update.updateType === UpdateType.SYNC_COMPLETE) {
        this.#sweep();
        synced = true;
      } else if (update.updateType === UpdateType.SHUTDOWN) shutdown = true;
      else if (update.updateType === UpdateType.UPSERT || update.updateType === UpdateType.DELETE) this.#update(update);
      else this.#malformed++;
    }
    if (this.#named === undefined && batch.epoch !== 0n) {
      this.#epoch = batch.epoch;
      this.#revision = batch.revision;
    }
    return { synced, shutdown };
  }

  #beginsSnapshot(batch: IpCacheBatch): boolean {
    return batch.kind === BatchKind.SNAPSHOT &&
      (this.#named === undefined || batch.revision !== this.#snapshotRevision);
  }

  #update(update: IpCacheUpdate): void {
    const parsed = parsePrefix(update.ip);
    if (parsed === undefined) {
      this.#malformed++;
      return;
    }
    const prefix = formatPrefix(parsed);
    if (update.updateType === UpdateType.DELETE) {
      this.#deletes++;
      this.#named?.delete(prefix);
      this.#cache.delete(parsed);
      this.#setNode(prefix, undefined);
      return;
    }
    this.#upserts++;
    this.#named?.add(prefix);
    const entry = this.#entryOf(update);
    this.#cache.set(parsed, makeIdentity(entry));
    this.#setNode(prefix, entry.nodeAddress ? entry.node : undefined);
  }

  /** Leaves alone what others said of nodes: a file may name some that the operator does not know. */
  #setNode(prefix: string, name: string | undefined): void {
    if (name === undefined && !this.#nodePrefixes.delete(prefix)) return;
    if (name !== undefined) this.#nodePrefixes.add(prefix);
    this.#nodes.set(prefix, name);
  }

  #sweep(): void {
    if (this.#named !== undefined) {
      for (const [prefix] of this.#cache.entries()) {
        if (this.#named.has(prefix)) continue;
        if (this.#cache.delete(prefix)) this.#swept++;
        this.#setNode(prefix, undefined);
      }
    }
    this.#named = undefined;
    this.#cache.markSynced();
  }

  #entryOf(update: IpCacheUpdate): Entry {
    const { podName: pod, serviceName: service, nodeName: node, clusterName: cluster, nodeAddress } = update;
    if (update.identity === 0) {
      const { namespace, labels, workloads } = update;
      // An operator of the first version names nodes by all their addresses, and has no word for where they listen.
      return {
        ...resolveEntry({ namespace, pod, service, node, cluster, labels, workloads: plain(workloads) }),
        nodeAddress: node !== "",
      };
    }
    const { namespace, labels, workloads } = this.#share(update);
    return { numeric: update.identity, namespace, pod, service, node, cluster, labels, workloads, nodeAddress };
  }

  /** Pods of one workload differ in their names alone: the rest is held once. */
  #share(update: IpCacheUpdate): Shared {
    const known = this.#shared.get(update.identity);
    if (known !== undefined && isSame(known, update)) return known;
    const shared = {
      namespace: update.namespace,
      labels: update.labels,
      workloads: plain(update.workloads),
    };
    this.#shared.set(update.identity, shared);
    return shared;
  }
}

function isSame(known: Shared, update: IpCacheUpdate): boolean {
  return known.namespace === update.namespace && known.labels.length === update.labels.length &&
    known.labels.every((label, i) => label === update.labels[i]) &&
    known.workloads.length === update.workloads.length &&
    known.workloads.every(({ name, kind }, i) =>
      name === update.workloads[i].name && kind === update.workloads[i].kind
    );
}

/** Without what protobuf-es keeps in a message beside its fields. */
function plain(workloads: readonly { readonly name: string; readonly kind: string }[]): Shared["workloads"] {
  return workloads.map(({ name, kind }) => ({ name, kind }));
}
