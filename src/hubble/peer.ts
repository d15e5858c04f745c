/** peer.Peer: tells a Hubble Relay which nodes there are to read from. */
import { create } from "@bufbuild/protobuf";
import { Code, ConnectError } from "@connectrpc/connect";
import {
  type ChangeNotification,
  ChangeNotificationSchema,
  ChangeNotificationType as ChangeType,
  Peer,
} from "../../proto/gen/peer/peer_pb.ts";
import type { Call } from "./grpc/call.ts";
import type { GrpcRouter } from "./grpc/router.ts";

/** A node that serves Hubble's API. */
export interface PeerNode {
  /** Node name; `cluster/node` outside the default cluster. */
  readonly name: string;
  /** `ip:port`, `[v6]:port` or `unix:///path`. */
  readonly address: string;
  /** Name that its certificate carries; unset when it speaks plain text. */
  readonly tlsServerName?: string;
}

/** A change of the peers; `old` is unset for a new one, `new` for one that is gone. */
export interface PeerChange {
  readonly old?: PeerNode;
  readonly new?: PeerNode;
}

/** Who the peers are. */
export interface PeerSource {
  /**
   * The peers now. `localAddress` is the address that the asking client reached this server at, for a source that knows
   * no other address of its own node.
   */
  current(localAddress: string | undefined): readonly PeerNode[];
  /** Tells every change from now on; returns how to stop. */
  subscribe(listener: (change: PeerChange) => void): () => void;
}

/** Peers that never change. */
export function fixedPeers(peers: readonly PeerNode[]): PeerSource {
  return { current: () => peers, subscribe: () => () => {} };
}

/** Name that the certificate of a node's Hubble server has to carry, as Hubble Relay expects it. A `cluster/` before the node's name is left out. */
export function tlsServerName(nodeName: string, cluster = "default"): string {
  return `${nodeName.replace(/^.*\//, "").replaceAll(".", "-")}.${
    (cluster || "default").replaceAll(".", "-")
  }.hubble-grpc.cilium.io`;
}

/** Changes that wait for a slow reader; a cluster's nodes do not change faster than a relay reads. */
const MAX_WAITING = 4096;

/** Adds the service to a server. */
export function registerPeer(router: GrpcRouter, source: PeerSource): void {
  router.messages(Peer.method.notify, (_request, call) => notify(source, call));
}

async function* notify(source: PeerSource, call: Call): AsyncGenerator<ChangeNotification> {
  const waiting: ChangeNotification[] = [];
  let wake: () => void = () => {};
  // Subscribed before the peers are read: a change in between must not be missed.
  const unsubscribe = source.subscribe((change) => {
    waiting.push(...notifications(change));
    wake();
  });
  call.signal.addEventListener("abort", () => wake());
  try {
    for (const peer of source.current(call.localAddress)) yield notification(peer, ChangeType.PEER_ADDED);
    while (!call.signal.aborted) {
      if (waiting.length > MAX_WAITING) {
        throw new ConnectError("Server stream send was blocked for too long", Code.ResourceExhausted);
      }
      const next = waiting.shift();
      if (next !== undefined) yield next;
      else await new Promise<void>((resolve) => wake = resolve);
    }
  } finally {
    unsubscribe();
  }
}

/** What a change means to a relay; a renamed node is another node. */
function notifications({ old, new: now }: PeerChange): ChangeNotification[] {
  if (old === undefined) return now === undefined ? [] : [notification(now, ChangeType.PEER_ADDED)];
  if (now === undefined) return [notification(old, ChangeType.PEER_DELETED)];
  if (old.name !== now.name) {
    return [notification(old, ChangeType.PEER_DELETED), notification(now, ChangeType.PEER_ADDED)];
  }
  const same = old.address === now.address && old.tlsServerName === now.tlsServerName;
  return same ? [] : [notification(now, ChangeType.PEER_UPDATED)];
}

function notification({ name, address, tlsServerName }: PeerNode, type: ChangeType): ChangeNotification {
  return create(ChangeNotificationSchema, {
    name,
    address,
    type,
    ...(tlsServerName !== undefined && { tls: { serverName: tlsServerName } }),
  });
}
