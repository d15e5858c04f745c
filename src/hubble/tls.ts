/** Certificate files of the TLS listener: read, checked, and read again when they change. */
import { createPrivateKey, X509Certificate } from "node:crypto";

/** Paths of PEM files. */
export interface TlsPaths {
  readonly certFile: string;
  readonly keyFile: string;
  /** Clients must show a certificate that one of these authorities signed. */
  readonly clientCaFile?: string;
  /** How often the files are looked at, in milliseconds; ten seconds by default. */
  readonly reloadMs?: number;
}

/** PEM texts, as node:tls takes them. */
export interface TlsMaterial {
  readonly cert: string;
  readonly key: string;
  readonly ca?: string;
}

/** How often the files are looked at, in milliseconds; Kubernetes itself takes a minute to bring a new Secret to a volume. */
const POLL_MS = 10_000;

/** The files of a TLS listener. */
export class TlsFiles {
  readonly #listeners = new Set<(material: TlsMaterial) => void>();
  readonly #timer: ReturnType<typeof setInterval>;
  #material: TlsMaterial;

  private constructor(
    readonly paths: TlsPaths,
    material: TlsMaterial,
    readonly report: (message: string) => void,
  ) {
    this.#material = material;
    this.#timer = setInterval(() => void this.reload(), paths.reloadMs ?? POLL_MS);
    Deno.unrefTimer(this.#timer);
  }

  /**
   * Reads and checks the files.
   * @param report is told about reloads, and about files that were changed to something unusable.
   * @throws Error that names the file when one cannot be read, the key does not fit, or the certificate is not valid now.
   */
  static async open(paths: TlsPaths, report: (message: string) => void): Promise<TlsFiles> {
    return new TlsFiles(paths, await readMaterial(paths), report);
  }

  get material(): TlsMaterial {
    return this.#material;
  }

  /** Whether clients have to show a certificate. */
  options(): { requestCert: boolean; rejectUnauthorized: boolean } {
    const mutual = this.paths.clientCaFile !== undefined;
    return { requestCert: mutual, rejectUnauthorized: mutual };
  }

  /** Calls `listener` with new material; returns how to stop that. */
  onChange(listener: (material: TlsMaterial) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /**
   * Looks at the files now. Unusable ones are reported and the old ones stay: a certificate and its key are not replaced
   * in the same instant.
   */
  async reload(): Promise<void> {
    let material: TlsMaterial;
    try {
      material = await readMaterial(this.paths);
    } catch (error) {
      this.report(`Kept the old TLS certificate: ${error instanceof Error ? error.message : error}`);
      return;
    }
    const old = this.#material;
    if (material.cert === old.cert && material.key === old.key && material.ca === old.ca) return;
    this.#material = material;
    for (const listener of this.#listeners) listener(material);
    this.report(
      `Loaded a new TLS certificate from ${this.paths.certFile}, valid to ${
        new X509Certificate(material.cert).validTo
      }`,
    );
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer);
    this.#listeners.clear();
  }
}

async function readMaterial(paths: TlsPaths): Promise<TlsMaterial> {
  const [cert, key, ca] = await Promise.all([
    readPem(paths.certFile),
    readPem(paths.keyFile),
    paths.clientCaFile === undefined ? undefined : readPem(paths.clientCaFile),
  ]);
  const certificate = parse(paths.certFile, () => new X509Certificate(cert));
  const privateKey = parse(paths.keyFile, () => createPrivateKey(key));
  // node:tls on Deno takes anything here and fails every handshake later.
  if (!certificate.checkPrivateKey(privateKey)) {
    throw new Error(`Key ${paths.keyFile} does not fit certificate ${paths.certFile}`);
  }
  checkDates(paths.certFile, certificate);
  if (ca === undefined) return { cert, key };
  parse(paths.clientCaFile!, () => new X509Certificate(ca));
  return { cert, key, ca };
}

function checkDates(file: string, { validFrom, validTo }: X509Certificate): void {
  const now = Date.now();
  if (now > Date.parse(validTo)) throw new Error(`Certificate ${file} expired at ${validTo}; renew it`);
  if (now < Date.parse(validFrom)) {
    throw new Error(`Certificate ${file} is not valid before ${validFrom}; check this machine's clock`);
  }
}

function parse<T>(file: string, read: () => T): T {
  try {
    return read();
  } catch (cause) {
    throw new Error(`Cannot read ${file}: it is no valid PEM file`, { cause });
  }
}

async function readPem(file: string): Promise<string> {
  try {
    return await Deno.readTextFile(file);
  } catch (cause) {
    const reason = cause instanceof Deno.errors.NotFound
      ? "no such file"
      : cause instanceof Error
      ? cause.message
      : String(cause);
    throw new Error(`Cannot read ${file}: ${reason}`);
  }
}
