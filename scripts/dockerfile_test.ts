/** The Dockerfile, as far as can be told without building it: its files, packages and versions, and what the chart expects of the images. */
import assert from "node:assert/strict";
import { parse } from "yaml";
import { container, find, helmBuilt, render } from "../tests/chart/chart.ts";
import { testWith } from "../tests/lab/need.ts";
import { run } from "./process.ts";
import { missing, packages } from "./requirements.ts";
import config from "../deno.json" with { type: "json" };

const ROOT = new URL("../", import.meta.url);
const read = (path: string) => Deno.readTextFileSync(new URL(path, ROOT));

interface Stage {
  readonly from: string;
  readonly name: string;
  readonly lines: readonly (readonly [instruction: string, rest: string])[];
}

/** Stages with their instructions, continued lines joined; what comes before the first FROM is stage "". */
function stages(text: string): Stage[] {
  const joined = text.replaceAll(/^#.*\n/gm, "").replaceAll(/\\\n\s*/g, " ");
  const found: { from: string; name: string; lines: [string, string][] }[] = [{ from: "", name: "", lines: [] }];
  for (const line of joined.split("\n").filter((one) => one.trim() !== "")) {
    const [, instruction, rest] = /^([A-Z]+)\s+(.*)$/.exec(line) ?? assert.fail(`No instruction: ${line}`);
    const from = /^(?:--platform=\S+ )?(\S+) AS (\S+)$/.exec(rest);
    if (instruction === "FROM") found.push({ from: from![1], name: from![2], lines: [] });
    else found[found.length - 1].lines.push([instruction, rest]);
  }
  return found;
}

const ALL = stages(read("Dockerfile"));

function stage(name: string): Stage {
  return ALL.find((one) => one.name === name) ?? assert.fail(`No stage ${name}`);
}

const all = (name: string, instruction: string) =>
  stage(name).lines.filter(([word]) => word === instruction).map(([, rest]) => rest);

/** Sources of the COPY instructions that take from the repository. */
const copied = all("build", "COPY").filter((rest) => !rest.startsWith("--from")).flatMap((rest) =>
  rest.split(" ").slice(0, -1)
);

/** Whether the build context has a path: .dockerignore refuses all but what it names, and of that again some. */
function inContext(path: string): boolean {
  const lines = read(".dockerignore").split("\n").filter((line) => line !== "" && !line.startsWith("#"));
  assert.equal(lines[0], "*");
  const named = lines.some((line) =>
    line.startsWith("!") && (path === line.slice(1) || path.startsWith(`${line.slice(1)}/`))
  );
  const refused = path.startsWith("bpf/build") || /(^|\/)testdata(\/|$)/.test(path) || path.endsWith("_test.ts");
  return named && !refused;
}

Deno.test("the Dockerfile copies what is there and what the context has", () => {
  assert.ok(copied.length > 5);
  for (const path of copied) {
    Deno.statSync(new URL(path, ROOT));
    assert.ok(inContext(path), `${path} is not in the build context`);
  }
  for (const [target, program] of [["agent", "retina-agent"], ["operator", "retina-operator"]]) {
    assert.deepEqual(all(target, "COPY"), [`--from=build /src/dist/${program} /usr/local/bin/${program}`]);
    assert.deepEqual(all(target, "ENTRYPOINT"), [`["/usr/local/bin/${program}"]`]);
  }
});

Deno.test("every module that the programs and their compilation need is copied", async () => {
  const root = ROOT.href;
  for (const entry of ["main.ts", "operator.ts", "scripts/compile.ts"]) {
    const { stdout } = await run(Deno.execPath(), ["info", "--json", entry], { cwd: ROOT.pathname, timeoutMs: 60_000 });
    const modules: { specifier: string }[] = JSON.parse(stdout).modules;
    const own = modules.map(({ specifier }) => specifier).filter((one) => one.startsWith(root)).map((one) =>
      one.slice(root.length)
    );
    assert.ok(own.length > 3);
    for (const path of own) {
      const taken = copied.some((source) => path === source || path.startsWith(`${source}/`));
      assert.ok(taken && inContext(path), `${path} of ${entry} is not copied`);
    }
  }
});

Deno.test("the images have the packages that requirements.ts asks for", () => {
  const nothing = { program: () => false, file: () => false, arch: "x86_64" };
  const installed = (name: string) => all(name, "RUN").flatMap((rest) => rest.split(/\s+/));
  for (const name of packages(missing(["build"], nothing), "apt")) assert.ok(installed("build").includes(name), name);
  for (const name of packages(missing(["run"], nothing), "apt")) assert.ok(installed("agent").includes(name), name);
});

Deno.test("versions are those of the repository", () => {
  const args = all("", "ARG");
  const [, deno] = /denoland\/deno:bin-(\S+)/.exec(args.join(" ")) ?? [];
  assert.ok(read(".ci/run").includes(`deno@${deno} `), `Deno ${deno}`);
  assert.ok(all("runtime", "ARG").includes(`VERSION=${config.version}`));
  // Both end on the same base, and both know their names.
  for (const name of ["agent", "operator"]) {
    assert.equal(stage(name).from, "runtime");
    assert.match(all(name, "LABEL").join(" "), new RegExp(`image\\.title="retina-${name}"`));
  }
});

testWith([helmBuilt], "the images are what the chart runs: names, users, ports, and a bash for helm test", async () => {
  const manifests = await render();
  const values = parse(read("helm/values.yaml"));
  for (const [name, kind] of [["agent", "DaemonSet"], ["operator", "Deployment"]] as const) {
    const workload = find(manifests, kind, `retina-${name}`);
    const one = container(workload, name);
    assert.equal(values[name].image.repository, all(name, "ENTRYPOINT")[0].split("/").at(-1)!.replace('"]', ""));
    // The image's entrypoint is the program; the chart gives arguments alone.
    assert.equal(one.command, undefined);
    const { runAsUser, runAsGroup } = { ...workload["spec"].template.spec.securityContext, ...one.securityContext };
    assert.deepEqual(all(name, "USER"), [`${runAsUser}:${runAsGroup}`]);
    const ports = one.ports.map(({ containerPort }: { containerPort: number }) => containerPort);
    assert.deepEqual(all(name, "EXPOSE"), [ports.join(" ")]);
  }
  const test = container(find(manifests, "Pod", "retina-test"), "test");
  assert.equal(test.command[0], "bash");
  assert.match(test.image, /^retina-agent:/);
  assert.match(all("", "ARG").join(" "), /DEBIAN=(\S+\/)?debian:/); // which has bash, unlike images without a shell
});
