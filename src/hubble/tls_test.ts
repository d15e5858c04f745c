import assert from "node:assert/strict";
import { X509Certificate } from "node:crypto";
import { type Certificates, withCertificates } from "../../tests/interop/certificates.ts";
import { program, testWith } from "../../tests/lab/need.ts";
import { TlsFiles, type TlsPaths } from "./tls.ts";

/** Opens the files and calls `run`; the polling timer is stopped at the end. */
async function opened(paths: TlsPaths, run: (files: TlsFiles, reports: string[]) => Promise<void>): Promise<void> {
  const reports: string[] = [];
  using files = await TlsFiles.open(paths, (text) => reports.push(text));
  await run(files, reports);
}

const serverPaths = ({ folder }: Certificates): TlsPaths => ({
  certFile: `${folder}/server.crt`,
  keyFile: `${folder}/server.key`,
  clientCaFile: `${folder}/ca.crt`,
});

testWith([program("openssl")], "TlsFiles asks for client certificates when it has an authority for them", async () => {
  await withCertificates(async (certificates) => {
    const paths = serverPaths(certificates);
    await opened(paths, (files) => {
      assert.deepEqual(files.options(), { requestCert: true, rejectUnauthorized: true });
      assert.match(files.material.ca ?? "", /BEGIN CERTIFICATE/);
      return Promise.resolve();
    });
    await opened({ certFile: paths.certFile, keyFile: paths.keyFile }, (files) => {
      assert.deepEqual(files.options(), { requestCert: false, rejectUnauthorized: false });
      return Promise.resolve();
    });
  });
});

testWith([program("openssl")], "TlsFiles.open() names the file that is missing, broken or does not fit", async () => {
  await withCertificates(async (certificates) => {
    const paths = serverPaths(certificates);
    const { folder } = certificates;
    await Deno.writeTextFile(`${folder}/garbage`, "garbage");
    const cases: [paths: TlsPaths, message: RegExp][] = [
      [{ ...paths, certFile: `${folder}/no` }, /^Cannot read .*\/no: no such file$/],
      [{ ...paths, certFile: `${folder}/garbage` }, /^Cannot read .*\/garbage: it is no valid PEM file$/],
      [{ ...paths, keyFile: `${folder}/garbage` }, /garbage: it is no valid PEM file$/],
      [{ ...paths, clientCaFile: `${folder}/garbage` }, /garbage: it is no valid PEM file$/],
      [{ ...paths, keyFile: `${folder}/client.key` }, /^Key .*client.key does not fit certificate .*server.crt$/],
    ];
    for (const [bad, message] of cases) await assert.rejects(TlsFiles.open(bad, () => {}), { message });
  });
});

testWith([program("openssl")], "TlsFiles.open() refuses an expired certificate", async () => {
  await withCertificates(async (certificates) => {
    await certificates.issue("server", { expired: true });
    await assert.rejects(TlsFiles.open(serverPaths(certificates), () => {}), {
      message: /server.crt expired at .*; renew it$/,
    });
  });
});

testWith(
  [program("openssl")],
  "TlsFiles.reload() hands on new files, and keeps the old ones when the new are unusable",
  async () => {
    await withCertificates(async (certificates) => {
      await opened(serverPaths(certificates), async (files, reports) => {
        const serials: string[] = [];
        const stop = files.onChange(({ cert }) => serials.push(new X509Certificate(cert).serialNumber));
        await files.reload();
        assert.deepEqual([serials.length, reports.length], [0, 0]);
        await Deno.copyFile(`${certificates.folder}/client.key`, `${certificates.folder}/server.key`);
        await files.reload();
        assert.equal(serials.length, 0);
        assert.match(reports[0], /^Kept the old TLS certificate: Key .* does not fit/);
        await certificates.issue("server");
        await files.reload();
        assert.equal(serials.length, 1);
        assert.match(reports[1], /^Loaded a new TLS certificate from .*server.crt, valid to /);
        stop();
        await certificates.issue("server");
        await files.reload();
        assert.equal(serials.length, 1);
      });
    });
  },
);
