/**
 * `ipcache.IpCacheBatch` as gRPC frames, written by hand: every change is encoded once, whoever reads it. Field numbers are
 * those of `proto/ipcache/ipcache.proto`.
 */
import { gzipSync } from "node:zlib";
import { BatchKind, IpCacheUpdate_UpdateType as UpdateType } from "../../../proto/gen/ipcache/ipcache_pb.ts";
import type { Entry } from "../../identity/entry.ts";
import { ProtoWriter } from "../../identity/proto_writer.ts";
import type { Change } from "../state/claims.ts";

/** Version of the protocol that this operator speaks. */
export const PROTOCOL_VERSION = 1;
/**
 * No message is larger than this, in bytes, as long as no single entry is. The protocol allows four times as much; but each
 * agent has one message on its way, and thousands of them connect at once when an operator has restarted.
 */
export const MAX_MESSAGE = 256 * 1024;
/** Room for what a batch carries beside its updates. */
const TRAILER = 64;
/** Frames shorter than this are not worth compressing. */
const MIN_COMPRESSED = 256;

/** One gRPC message with its prefix, encoded once for all readers. */
export class Frame {
  readonly #plain: Uint8Array;
  #gzip: Uint8Array | undefined;

  /** @param message a protobuf message with five free bytes in front */
  constructor(message: Uint8Array) {
    this.#plain = withPrefix(message, 0);
  }

  /** Size without compression, in bytes. */
  get length(): number {
    return this.#plain.length;
  }

  /** The bytes to send; compressed at the first call that asks for it. */
  bytes(gzip: boolean): Uint8Array {
    if (!gzip || this.#plain.length < MIN_COMPRESSED) return this.#plain;
    return this.#gzip ??= compressed(this.#plain.subarray(5));
  }

  /** The protobuf message alone. */
  get message(): Uint8Array {
    return this.#plain.subarray(5);
  }
}

function compressed(message: Uint8Array): Uint8Array {
  // Labels repeat so much that the fastest level shrinks them to an eighth.
  const packed = gzipSync(message, { level: 1 });
  const out = new Uint8Array(5 + packed.length);
  out.set(packed, 5);
  return withPrefix(out, 1);
}

function withPrefix(bytes: Uint8Array, flag: number): Uint8Array {
  new DataView(bytes.buffer, bytes.byteOffset).setUint32(1, bytes.length - 5);
  bytes[0] = flag;
  return bytes;
}

/** What a batch carries beside its updates. */
export interface BatchInfo {
  readonly epoch: bigint;
  readonly revision: bigint;
  readonly kind: BatchKind;
}

/** Writes changes into batches of at most {@link MAX_MESSAGE} bytes. */
export class BatchWriter {
  readonly #writer = new ProtoWriter(65_536);

  /** Frames for the changes; `info` is asked for each frame in turn. No changes give no frames. */
  *frames(changes: Iterable<Change>, info: () => BatchInfo): Generator<Frame> {
    const writer = this.#writer;
    this.#begin();
    for (const { prefix, entry } of changes) {
      const before = writer.length;
      const mark = writer.open(1);
      writeUpdate(writer, prefix, entry);
      writer.close(mark);
      if (writer.length <= MAX_MESSAGE - TRAILER || before === PREFIX) continue;
      // This update goes into the next batch.
      const update = writer.take().subarray(before);
      writer.truncate(before);
      yield this.#end(info());
      this.#begin();
      writer.raw(update);
    }
    if (writer.length > PREFIX) yield this.#end(info());
  }

  /** A batch with one update that is no entry, or none. */
  control(type: UpdateType | undefined, info: BatchInfo): Frame {
    this.#begin();
    if (type !== undefined) {
      const mark = this.#writer.open(1);
      this.#writer.uint32(1, type);
      this.#writer.close(mark);
    }
    return this.#end(info);
  }

  #begin(): void {
    this.#writer.reset();
    this.#writer.raw(new Uint8Array(PREFIX));
  }

  #end({ epoch, revision, kind }: BatchInfo): Frame {
    this.#writer.uint32(9, PROTOCOL_VERSION);
    this.#writer.uint64(10, epoch);
    this.#writer.uint64(11, revision);
    this.#writer.uint32(12, kind);
    return new Frame(this.#writer.take());
  }
}

const PREFIX = 5;

function writeUpdate(writer: ProtoWriter, prefix: string, entry: Entry | undefined): void {
  writer.uint32(1, entry === undefined ? UpdateType.DELETE : UpdateType.UPSERT);
  writer.string(2, prefix);
  if (entry === undefined) return;
  writer.text(3, entry.namespace);
  writer.text(4, entry.pod);
  writer.text(5, entry.service);
  writer.text(6, entry.node);
  for (const label of entry.labels) writer.string(7, label);
  for (const workload of entry.workloads) {
    const mark = writer.open(8);
    writer.text(1, workload.name);
    writer.text(2, workload.kind);
    writer.close(mark);
  }
  writer.uint32(10, entry.numeric);
  writer.text(11, entry.cluster);
  writer.uint32(12, entry.nodeAddress ? 1 : 0);
}
