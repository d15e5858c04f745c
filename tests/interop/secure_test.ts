/** The Hubble CLI over TLS, mutual TLS and the unix socket. */
import assert from "node:assert/strict";
import type { Output } from "../../scripts/process.ts";
import { toolPath } from "../../scripts/tools.ts";
import { startAgent } from "../lab/agent.ts";
import { createLab } from "../lab/lab.ts";
import { lab as needsLab, program, testWith } from "../lab/need.ts";
import { withCertificates } from "./certificates.ts";
import { flowLines, toJsonLines } from "./fixture.ts";
import { cli, CLI_ENV, flowsOf } from "./hubble.ts";

const COUNT = 10;
const NEEDS = [needsLab, cli];

/** Starts a replaying agent with these flags and gives the CLI with its own; removes all at the end. */
async function withAgent(
  args: readonly string[],
  body: (hubble: (...args: string[]) => Promise<Output>) => Promise<void>,
): Promise<void> {
  const file = await Deno.makeTempFile({ suffix: ".jsonl" });
  try {
    await Deno.writeTextFile(file, toJsonLines(flowLines(COUNT)));
    await using lab = await createLab({ pods: 0 });
    await using _agent = await startAgent(lab, { replay: file, args });
    await body((...args) => lab.node.run(toolPath("hubble"), args, { env: CLI_ENV, allowFailure: true }));
  } finally {
    await Deno.remove(file);
  }
}

function assertServes(output: Output): void {
  assert.equal(output.code, 0, output.stderr);
  assert.equal(flowsOf(output).length, COUNT);
}

function assertRefused(output: Output, why: RegExp): void {
  assert.equal(output.code, 1);
  assert.match(output.stderr, why);
}

const OBSERVE = ["observe", "--all", "-o", "json"];

testWith([...NEEDS, program("openssl")], "hubble --tls reaches an agent with a certificate", async (t) => {
  await withCertificates(async ({ folder }) => {
    const files = ["--tls-cert-file", `${folder}/server.crt`, "--tls-key-file", `${folder}/server.key`];
    const authority = ["--tls-ca-cert-files", `${folder}/ca.crt`];
    await withAgent(files, async (hubble) => {
      await t.step("with the authority and the server's name", async () => {
        assertServes(await hubble(...OBSERVE, "--server", "localhost:4244", "--tls", ...authority));
      });
      await t.step("with tls:// and --tls-server-name", async () => {
        const name = ["--tls-server-name", "node.default.hubble-grpc.cilium.io"];
        assertServes(await hubble(...OBSERVE, "--server", "tls://127.0.0.1:4244", ...authority, ...name));
      });
      await t.step("with --tls-allow-insecure", async () => {
        assertServes(await hubble(...OBSERVE, "--server", "localhost:4244", "--tls", "--tls-allow-insecure"));
      });
      await t.step("not under a name that the certificate lacks", async () => {
        const output = await hubble(...OBSERVE, "--server", "tls://127.0.0.1:4244", ...authority);
        assertRefused(output, /certificate/);
      });
      await t.step("not with another authority", async () => {
        const other = ["--tls-ca-cert-files", `${folder}/other.crt`];
        assertRefused(await hubble(...OBSERVE, "--server", "localhost:4244", "--tls", ...other), /unknown authority/);
      });
      await t.step("not in plain text", async () => {
        assertRefused(await hubble(...OBSERVE, "--server", "localhost:4244"), /./);
      });
    });
  });
});

testWith(
  [...NEEDS, program("openssl")],
  "hubble with a client certificate reaches an agent that demands one",
  async (t) => {
    await withCertificates(async ({ folder }) => {
      const args = [
        ...["--tls-cert-file", `${folder}/server.crt`, "--tls-key-file", `${folder}/server.key`],
        ...["--tls-client-ca-file", `${folder}/ca.crt`],
      ];
      const server = ["--server", "tls://localhost:4244", "--tls-ca-cert-files", `${folder}/ca.crt`];
      const as = (name: string) => [
        ...["--tls-client-cert-file", `${folder}/${name}.crt`],
        ...["--tls-client-key-file", `${folder}/${name}.key`],
      ];
      await withAgent(args, async (hubble) => {
        await t.step("signed by the authority", async () => {
          assertServes(await hubble(...OBSERVE, ...server, ...as("client")));
        });
        await t.step("not without one", async () => assertRefused(await hubble(...OBSERVE, ...server), /./));
        await t.step("not with a stranger's", async () => {
          assertRefused(await hubble(...OBSERVE, ...server, ...as("stranger")), /./);
          // The agent goes on.
          assertServes(await hubble(...OBSERVE, ...server, ...as("client")));
        });
      });
    });
  },
);

testWith(NEEDS, "hubble --server unix:// reaches the agent's socket, which is gone afterwards", async () => {
  const folder = await Deno.makeTempDir();
  const socket = `${folder}/hubble.sock`;
  try {
    await withAgent(["--hubble-socket", socket], async (hubble) => {
      assertServes(await hubble(...OBSERVE, "--server", `unix://${socket}`));
      const status = await hubble("status", "--server", `unix://${socket}`);
      assert.match(status.stdout, /^Healthcheck \(via unix:\/\/.*hubble\.sock\): Ok\n/);
    });
    assert.deepEqual([...Deno.readDirSync(folder)], []);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
