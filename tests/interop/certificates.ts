/** Certificates for tests: an authority, a server and a client, made with openssl. */

/** A folder of PEM files: ca.crt, server.crt, server.key, client.crt, client.key, stranger.crt, stranger.key. */
export interface Certificates {
  readonly folder: string;
  /** Makes a new certificate and key, and puts both in place. */
  issue(name: "server" | "client", options?: { names?: readonly string[]; expired?: boolean }): Promise<void>;
}

/** Names that the server's certificate carries unless a test says otherwise. */
const SERVER_NAMES = ["localhost", "*.default.hubble-grpc.cilium.io"];

/** Makes the certificates, calls `run`, removes them. The stranger's certificate is signed by another authority. */
export async function withCertificates(run: (certificates: Certificates) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir({ prefix: "certificates-" });
  const authority = (name: string) =>
    openssl(folder, "req", "-x509", ...newKey(name), "-out", `${name}.crt`, "-days", "2", "-subj", `/CN=${name}`);
  const issue = async (name: string, signer: string, names: readonly string[], expired = false) => {
    const next = `${name}.next`;
    const extensions = names.length === 0
      ? []
      : ["-addext", `subjectAltName=${names.map((dns) => `DNS:${dns}`).join(",")}`];
    await openssl(folder, "req", ...newKey(next), "-out", `${next}.csr`, "-subj", `/CN=${name}`, ...extensions);
    const days = expired ? ["-days", "-1"] : ["-days", "2"];
    const signing = ["-CA", `${signer}.crt`, "-CAkey", `${signer}.key`, "-copy_extensions", "copyall"];
    await openssl(folder, "x509", "-req", "-in", `${next}.csr`, ...signing, "-out", `${next}.crt`, ...days);
    for (const kind of ["key", "crt"]) await Deno.rename(`${folder}/${next}.${kind}`, `${folder}/${name}.${kind}`);
  };
  try {
    await Promise.all([authority("ca"), authority("other")]);
    await Promise.all([
      issue("server", "ca", SERVER_NAMES),
      // A certificate without extensions is one of version 1, which Deno's TLS refuses.
      issue("client", "ca", ["client"]),
      issue("stranger", "other", ["stranger"]),
    ]);
    await run({
      folder,
      issue: (name, { names = name === "server" ? SERVER_NAMES : ["client"], expired = false } = {}) =>
        issue(name, "ca", names, expired),
    });
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

const newKey = (
  name: string,
) => ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", `${name}.key`];

async function openssl(folder: string, ...args: string[]): Promise<void> {
  const { code, stderr } = await new Deno.Command("openssl", { args, cwd: folder, stdout: "null", stderr: "piped" })
    .output();
  if (code !== 0) throw new Error(`openssl ${args[0]} failed: ${new TextDecoder().decode(stderr)}`);
}
