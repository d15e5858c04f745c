/**
 * A peer service that Hubble Relay can ask for its nodes, as a program: the agent's own, with a fixed list. In a cluster
 * every agent knows the list from the operator; here there is none.
 *
 *     peer_service.ts SOCKET PEERS     PEERS: JSON of PeerNode[]; prints `ready`, ends when standard input closes
 */
import { FlowStore } from "../../src/flow/store.ts";
import { fixedPeers, type PeerNode } from "../../src/hubble/peer.ts";
import { serveHubble } from "../../src/hubble/server.ts";
import { IdentityTable } from "../../src/identity/table.ts";

const [socket, peers] = Deno.args;
const server = await serveHubble({
  store: new FlowStore({ capacity: 1024, identities: new IdentityTable() }),
  record: {
    nodeName: "peer-service",
    uuidSalt: new Uint8Array(16),
    emitter: { name: "peer-service", version: "0" },
    interfaceName: () => "",
  },
  version: "peer-service 0",
  peers: fixedPeers(JSON.parse(peers) as PeerNode[]),
}, { address: "127.0.0.1", port: 0, socket });
console.log("ready");
for await (const _ of Deno.stdin.readable);
await server.stop(0);
Deno.exit(0);
