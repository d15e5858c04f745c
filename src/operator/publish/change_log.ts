import { BatchKind, IpCacheUpdate_UpdateType as UpdateType } from "../../../proto/gen/ipcache/ipcache_pb.ts";
import type { Entry } from "../../identity/entry.ts";
import type { Change } from "../state/claims.ts";
import { BatchWriter, type Frame } from "./wire.ts";

/** What a {@link ChangeLog} is made with. */
export interface ChangeLogOptions {
  /** Names this run of the operator; never 0. */
  readonly epoch: bigint;
  /** The state that the log's changes lead to. */
  readonly entries: ReadonlyMap<string, Entry>;
  /** How many bytes of past changes are kept for agents that reconnect or are slow. */
  readonly maxBytes: number;
}

/** A state in frames, and the revision that it is the state of. */
export interface Snapshot {
  readonly revision: number;
  readonly frames: readonly Frame[];
  readonly bytes: number;
}

/**
 * The changes of one run of the operator. Each frame has a revision of its own, one more than the frame before, so that an
 * agent which was cut off between two frames knows exactly where it stands. Every frame and every snapshot is encoded once;
 * a reader is a position in this log and owns no memory.
 */
export class ChangeLog {
  readonly #options: ChangeLogOptions;
  readonly #writer = new BatchWriter();
  /** Frames of revisions `#first`, `#first + 1`, … */
  #frames: Frame[] = [];
  #first = 1;
  #bytes = 0;
  #snapshot: Snapshot | undefined;
  /** Bytes appended since the snapshot was made. */
  #sinceSnapshot = 0;
  readonly #listeners = new Set<() => void>();
  /** Snapshots encoded so far. */
  snapshots = 0;

  constructor(options: ChangeLogOptions) {
    this.#options = options;
  }

  get epoch(): bigint {
    return this.#options.epoch;
  }

  /** Revision of the state after all changes. */
  get revision(): number {
    return this.#first + this.#frames.length - 1;
  }

  /** Bytes of past changes that are kept. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Whether all changes after this revision are still here. */
  covers(revision: number): boolean {
    return revision >= this.#first - 1 && revision <= this.revision;
  }

  /** The frame that follows a revision; undefined when there is none, or when it is no longer here. */
  after(revision: number): Frame | undefined {
    return this.#frames[revision + 1 - this.#first];
  }

  /** Adds changes and wakes readers. */
  append(changes: readonly Change[]): void {
    const info = () => ({
      epoch: this.epoch,
      revision: BigInt(this.revision + 1),
      kind: BatchKind.CHANGES,
    });
    let added = false;
    for (const frame of this.#writer.frames(changes, info)) {
      this.#frames.push(frame);
      this.#bytes += frame.length;
      this.#sinceSnapshot += frame.length;
      added = true;
    }
    let drop = 0;
    while (this.#bytes > this.#options.maxBytes && drop < this.#frames.length - 1) {
      this.#bytes -= this.#frames[drop++].length;
    }
    if (drop > 0) this.#frames.splice(0, drop);
    this.#first += drop;
    if (added) { for (const listener of this.#listeners) listener(); }
  }

  /**
   * The state in frames: the last snapshot as long as the changes since then are here and not more work for the reader
   * than half a snapshot would be.
   */
  snapshot(): Snapshot {
    const last = this.#snapshot;
    if (last !== undefined && this.covers(last.revision) && this.#sinceSnapshot <= last.bytes / 2) return last;
    const info = { epoch: this.epoch, revision: BigInt(this.revision), kind: BatchKind.SNAPSHOT };
    const frames = [...this.#writer.frames(changesOf(this.#options.entries), () => info)];
    // A reader must learn that there is nothing, or it would keep what it has.
    if (frames.length === 0) frames.push(this.#writer.control(undefined, info));
    const bytes = frames.reduce((sum, frame) => sum + frame.length, 0);
    this.#sinceSnapshot = 0;
    this.snapshots++;
    return this.#snapshot = { revision: this.revision, frames, bytes };
  }

  /** Tells a reader that it has everything up to a revision. */
  syncComplete(revision: number): Frame {
    const info = { epoch: this.epoch, revision: BigInt(revision), kind: BatchKind.CHANGES };
    return this.#writer.control(UpdateType.SYNC_COMPLETE, info);
  }

  /** Tells a reader that this operator is about to stop. Without a revision: who gets it may not have read everything. */
  shutdown(): Frame {
    return this.#writer.control(UpdateType.SHUTDOWN, { epoch: 0n, revision: 0n, kind: BatchKind.CHANGES });
  }

  /** Calls `listener` after every append, until the returned function is called. */
  subscribe(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }
}

function* changesOf(entries: ReadonlyMap<string, Entry>): Generator<Change> {
  for (const [prefix, entry] of entries) yield { prefix, entry };
}
