/**
 * Runs a container of a rendered workload as a process of the lab: with its arguments, environment, files and
 * capabilities, and host names for Services. What a kubelet does and this does not: images, cgroups, seccomp, users other
 * than root (the checkout may be readable by root alone).
 */
import type { Running } from "../../scripts/process.ts";
import type { Namespace } from "../lab/namespace.ts";
import { container, environment, find, type Manifest } from "./chart.ts";

export interface PodOptions {
  readonly manifests: readonly Manifest[];
  readonly workload: Manifest;
  readonly container: string;
  /** The network that it runs in. */
  readonly namespace: Namespace;
  /** The program, in place of the image's entrypoint. */
  readonly program: readonly string[];
  /** Values of the fields that environment variables refer to, by their paths. */
  readonly fields?: Readonly<Record<string, string>>;
  /** Addresses of Services, by name. */
  readonly hosts?: Readonly<Record<string, string>>;
  readonly args?: (args: readonly string[]) => readonly string[];
  readonly files?: (text: string) => string;
  /** Capabilities. Default: those of the container. */
  readonly capabilities?: readonly string[];
}

/** Files of /etc that programs on Linux look at; the rest of it is not there in the pod. */
const ETC = ["passwd", "group", "nsswitch.conf", "ld.so.cache", "ld.so.conf", "ld.so.conf.d", "alternatives", "ssl"];

// The mount namespace goes with the process. /etc and /var/lib are replaced, and the root can only be read.
const ENTER = `
root=$1; shift
mount --bind "$root/etc" /etc
if [ -d "$root/var/lib" ]; then mount --bind "$root/var/lib" /var/lib; fi
mount -o remount,bind,ro /
exec "$@"`;

/** Starts it. The folder of its files is removed with the stack. */
export async function startPod(options: PodOptions, stack: AsyncDisposableStack): Promise<Running> {
  const root = await Deno.makeTempDir({ prefix: "pod-" });
  stack.defer(() => Deno.remove(root, { recursive: true }));
  await Deno.mkdir(`${root}/etc`);
  for (const name of ETC) await new Deno.Command("cp", { args: ["-a", `/etc/${name}`, `${root}/etc/`] }).output();
  const hosts = Object.entries({ localhost: "127.0.0.1", ...options.hosts }).map(([name, at]) => `${at} ${name}\n`);
  await Deno.writeTextFile(`${root}/etc/hosts`, hosts.join(""));
  await writeVolumes(options, root);
  const one = container(options.workload, options.container);
  const env = Object.fromEntries([...environment(one)].map(([name, value]) => {
    const field = /^\{(.*)\}$/.exec(value)?.[1];
    return [name, field === undefined ? value : options.fields?.[field] ?? ""];
  }));
  const capabilities = options.capabilities ?? one.securityContext.capabilities.add ?? [];
  const bound = ["-all", ...capabilities.map((name: string) => `+${name.toLowerCase()}`)].join(",");
  const args: readonly string[] = one.args ?? [];
  return stack.use(options.namespace.start("unshare", [
    ...["--mount", "--propagation", "private", "--", "sh", "-euc", ENTER, "sh", root],
    ...["setpriv", "--no-new-privs", "--bounding-set", bound, "--inh-caps=-all", "--"],
    ...options.program,
    ...options.args?.(args) ?? args,
  ], { env: { DENO_NO_UPDATE_CHECK: "1", ...env } }));
}

/** The files of Secrets and ConfigMaps, where the container mounts them. */
async function writeVolumes({ manifests, workload, container: name, files }: PodOptions, root: string): Promise<void> {
  const { volumes } = workload["spec"].template.spec;
  for (const mount of container(workload, name).volumeMounts ?? []) {
    const volume = volumes.find((one: { name: string }) => one.name === mount.name);
    const texts: Record<string, string> = volume.secret !== undefined
      ? decoded(find(manifests, "Secret", volume.secret.secretName)["data"])
      : volume.configMap !== undefined
      ? find(manifests, "ConfigMap", volume.configMap.name)["data"]
      : {};
    const folder = `${root}${mount.mountPath}`;
    await Deno.mkdir(folder, { recursive: true });
    for (const [file, text] of Object.entries(texts)) {
      await Deno.writeTextFile(`${folder}/${file}`, files?.(text) ?? text, { mode: 0o400 });
    }
  }
}

function decoded(data: Record<string, string>): Record<string, string> {
  return Object.fromEntries(Object.entries(data).map(([name, text]) => [name, atob(text)]));
}
