/** TLS and mutual TLS as clients meet them: names, versions, authorities, and new certificates while streams go on. */
import assert from "node:assert/strict";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import type { SecureClientSessionOptions } from "node:http2";
import { connect as connectTls } from "node:tls";
import { GetFlowsRequestSchema } from "../../proto/gen/observer/observer_pb.ts";
import { ChangeNotificationSchema } from "../../proto/gen/peer/peer_pb.ts";
import { type HubbleServer, serveHubble } from "../../src/hubble/server.ts";
import { program, testWith } from "../lab/need.ts";
import { type Certificates, withCertificates } from "./certificates.ts";
import { syntheticFlows } from "./flow_server.ts";
import { openSession, type RawAnswer, rawCall } from "./raw_call.ts";

const GET_FLOWS = "/observer.Observer/GetFlows";
const THREE = toBinary(GetFlowsRequestSchema, create(GetFlowsRequestSchema, { number: 3n }));
const FOLLOW = toBinary(GetFlowsRequestSchema, create(GetFlowsRequestSchema, { follow: true }));

interface Setting {
  readonly certificates: Certificates;
  readonly server: HubbleServer;
  readonly reports: string[];
  /** Reads a file of the certificates. */
  pem(name: string): string;
  push(flows: number): void;
  /** Calls GetFlows over a connection of its own. */
  flows(options: SecureClientSessionOptions): Promise<RawAnswer>;
}

function tlsTest(name: string, mutual: boolean, body: (setting: Setting) => Promise<void>): void {
  testWith([program("openssl")], name, () =>
    withCertificates(async (certificates) => {
      const { folder } = certificates;
      const { store, record, push } = syntheticFlows(1024);
      push(10);
      const reports: string[] = [];
      const server = await serveHubble({ store, record, version: "test", report: (text) => reports.push(text) }, {
        address: "127.0.0.1",
        port: 0,
        tls: {
          certFile: `${folder}/server.crt`,
          keyFile: `${folder}/server.key`,
          reloadMs: 50,
          ...(mutual && { clientCaFile: `${folder}/ca.crt` }),
        },
      });
      try {
        await body({
          certificates,
          server,
          reports,
          push,
          pem: (file) => Deno.readTextFileSync(`${folder}/${file}`),
          async flows(options) {
            const session = await openSession(`https://localhost:${server.port}`, options);
            try {
              return await rawCall(session, GET_FLOWS, THREE);
            } finally {
              session.destroy();
            }
          },
        });
      } finally {
        await server.stop(100);
      }
    }));
}

/** The serial number that the server shows, or the error of the handshake. */
function shown(port: number, options: Record<string, unknown>): Promise<string> {
  return new Promise((resolve) => {
    const socket = connectTls(
      { port, host: "127.0.0.1", ALPNProtocols: ["h2"], rejectUnauthorized: false, ...options },
      () => {
        resolve(socket.getPeerCertificate().serialNumber);
        socket.destroy();
      },
    );
    socket.on("error", (error) => resolve(`error: ${error.message}`));
  });
}

async function until(condition: () => boolean): Promise<void> {
  for (let i = 0; i < 1500 && !condition(); i++) await new Promise((resolve) => setTimeout(resolve, 20));
  assert.ok(condition(), String(condition));
}

tlsTest(
  "A client that knows the authority is served under the names of the certificate",
  false,
  async ({ flows, pem }) => {
    const ca = pem("ca.crt");
    assert.equal((await flows({ ca })).messages.length, 3);
    const servername = "node-1.default.hubble-grpc.cilium.io";
    assert.equal((await flows({ ca, servername })).messages.length, 3);
  },
);

tlsTest("A client refuses another name and another authority", false, async ({ flows, pem }) => {
  await assert.rejects(flows({ ca: pem("ca.crt"), servername: "node-1.other.hubble-grpc.cilium.io" }));
  await assert.rejects(flows({ ca: pem("other.crt") }));
});

tlsTest("The server speaks TLS 1.3 and HTTP/2 only", false, async ({ server }) => {
  assert.match(await shown(server.port, { maxVersion: "TLSv1.2" }), /^error/);
  assert.match(await shown(server.port, { ALPNProtocols: ["http/1.1"] }), /^error/);
  assert.match(await shown(server.port, {}), /^[0-9A-F]+$/);
});

tlsTest("With a client authority only its clients are served", true, async ({ flows, pem }) => {
  const ca = pem("ca.crt");
  const as = (name: string) => flows({ ca, cert: pem(`${name}.crt`), key: pem(`${name}.key`) });
  assert.equal((await as("client")).messages.length, 3);
  for (const refused of [() => as("stranger"), () => flows({ ca })]) {
    const answer = await refused().catch(() => undefined);
    assert.equal(answer?.code, undefined);
    assert.equal(answer?.messages.length ?? 0, 0);
  }
  assert.equal((await as("client")).messages.length, 3);
});

tlsTest("A new certificate is shown to new connections while streams go on", true, async (setting) => {
  const { certificates, server, pem, push, reports } = setting;
  const ca = pem("ca.crt");
  const client = () => ({ ca, cert: pem("client.crt"), key: pem("client.key") });
  const before = await shown(server.port, client());
  const session = await openSession(`https://localhost:${server.port}`, client());
  let bytes = 0;
  const stream = rawCall(session, GET_FLOWS, FOLLOW, {
    with: (follower) => {
      follower.on("data", (chunk: Uint8Array) => bytes += chunk.length);
      follower.once("response", () => push(1));
    },
  });
  await until(() => bytes > 0);
  await certificates.issue("server");
  await until(() => reports.some((text) => text.startsWith("Loaded a new TLS certificate")));
  const after = await shown(server.port, client());
  assert.match(after, /^[0-9A-F]+$/);
  assert.notEqual(after, before);
  assert.equal((await setting.flows(client())).messages.length, 3);
  const seen = bytes;
  push(1);
  await until(() => bytes > seen);
  session.destroy();
  await stream;
});

tlsTest("A new authority of clients counts for new connections", true, async (setting) => {
  const { certificates: { folder }, pem, reports } = setting;
  const as = (name: string) => setting.flows({ ca: authority, cert: pem(`${name}.crt`), key: pem(`${name}.key`) });
  const authority = pem("ca.crt");
  assert.equal((await as("client")).messages.length, 3);
  await Deno.copyFile(`${folder}/other.crt`, `${folder}/ca.crt`);
  await until(() => reports.length > 0);
  assert.equal((await as("stranger")).messages.length, 3);
  assert.equal((await as("client").catch(() => undefined))?.messages.length ?? 0, 0);
});

tlsTest("A key that does not fit, or an expired certificate, leaves the old one in use", false, async (setting) => {
  const { certificates, pem, reports } = setting;
  const ca = pem("ca.crt");
  await Deno.copyFile(`${certificates.folder}/client.key`, `${certificates.folder}/server.key`);
  await until(() => reports.some((text) => /Kept the old TLS certificate: Key .* does not fit/.test(text)));
  assert.equal((await setting.flows({ ca })).messages.length, 3);
  await certificates.issue("server", { expired: true });
  await until(() => reports.some((text) => /Kept the old TLS certificate: Certificate .* expired/.test(text)));
  assert.equal((await setting.flows({ ca })).messages.length, 3);
});

tlsTest("Peer.Notify names what the certificate has to carry", false, async ({ server, pem }) => {
  const session = await openSession(`https://localhost:${server.port}`, { ca: pem("ca.crt") });
  const { messages } = await rawCall(session, "/peer.Peer/Notify", undefined, {
    with: (stream) => stream.once("data", () => stream.close(8)),
  });
  session.destroy();
  const { tls } = fromBinary(ChangeNotificationSchema, messages[0]);
  assert.equal(tls?.serverName, "bench-node.default.hubble-grpc.cilium.io");
});
