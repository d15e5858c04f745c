/**
 * Every filter flag of `hubble observe`, differentially: the CLI asks a replaying agent, and the CLI filters the same file
 * by itself, with Cilium's own engine. Both must print the same flows.
 */
import assert from "node:assert/strict";
import { startAgent } from "../lab/agent.ts";
import { createLab, type Lab } from "../lab/lab.ts";
import { lab as needsLab, testWith } from "../lab/need.ts";
import { FILTER_FLAGS, FORMAT_FLAGS } from "./filter_flags.ts";
import { flowLines, timeOf, toJsonLines } from "./fixture.ts";
import { run } from "../../scripts/process.ts";
import { toolPath } from "../../scripts/tools.ts";
import { cli, CLI_ENV, flowsOf, hubble, hubbleFile, type HubbleOptions } from "./hubble.ts";

const COUNT = 400;
const NEEDS = [needsLab, cli];

interface Replay extends AsyncDisposable {
  readonly lab: Lab;
  readonly file: string;
  /** `hubble observe` against the agent, and on the file. */
  readonly observe: (...args: string[]) => Promise<{ agent: string; file: string }>;
}

/** An agent that replays the fixture. */
async function replay(): Promise<Replay> {
  await using stack = new AsyncDisposableStack();
  const file = await Deno.makeTempFile({ suffix: ".jsonl" });
  stack.defer(() => Deno.remove(file));
  await Deno.writeTextFile(file, toJsonLines(flowLines(COUNT)));
  const lab = stack.use(await createLab({ pods: 0 }));
  stack.use(await startAgent(lab, { replay: file }));
  const disposal = stack.move();
  const options: HubbleOptions = { allowFailure: true };
  return {
    lab,
    file,
    async observe(...args) {
      const [agent, own] = await Promise.all([
        hubble(lab.node, ["observe", ...args], options),
        hubbleFile(file, args, options),
      ]);
      const said = (output: typeof agent) => `${output.stdout}${output.code === 0 ? "" : `exit code ${output.code}\n`}`;
      return { agent: said(agent), file: said(own) };
    },
    [Symbol.asyncDispose]: () => disposal.disposeAsync(),
  };
}

testWith(NEEDS, "hubble observe: every filter flag selects what Cilium's own filters select", async (t) => {
  await using replayed = await replay();
  for (const flags of FILTER_FLAGS) {
    await t.step(flags.join(" "), async () => {
      const { agent, file } = await replayed.observe("--all", "-o", "json", ...flags);
      const uuids = (stdout: string) => flowsOf({ code: 0, stdout, stderr: "" }).map((flow) => flow.uuid);
      assert.deepEqual(uuids(agent), uuids(file));
      assert(uuids(file).length > 0 && uuids(file).length < COUNT, "the flags must match some flows and not others");
    });
  }
}, { timeoutMs: 300_000 });

testWith([cli], "the table of filter flags holds every filter flag that the CLI has", async () => {
  const { stdout } = await run(toolPath("hubble"), ["observe", "--help"], { env: CLI_ENV });
  const section = (title: string) => stdout.split(`${title} Flags:\n`)[1].split(/\n\n(?=\S)/)[0];
  const known = [...`${section("Filters")}\n${section("Raw-Filters")}`.matchAll(/^ {2}(?:-\w, | {4})(--[\w-]+)/gm)].map(
    ([, flag]) => flag,
  );
  assert(known.length > 50, stdout);
  const used = new Set(FILTER_FLAGS.flat());
  assert.deepEqual(known.filter((flag) => !used.has(flag)), []);
});

testWith(NEEDS, "hubble observe: every output of replayed flows is what the file itself gives", async (t) => {
  await using replayed = await replay();
  for (const output of ["json", "compact", "dict", "table"]) {
    await t.step(output, async () => {
      // The default field mask leaves out what the CLI could print: names and the policy's part of a verdict.
      const whole = await replayed.observe(
        "--all",
        "-o",
        output,
        "--print-node-name",
        "--use-default-field-masks=false",
      );
      assert.equal(whole.agent, whole.file);
      assert(whole.agent.split("\n").length > COUNT);
      const masked = await replayed.observe("--all", "-o", output, "--type", "trace", "--not", "--fqdn", "*");
      assert.equal(masked.agent, masked.file);
    });
  }
});

testWith(NEEDS, "hubble observe: every way to print gives what the file itself gives", async (t) => {
  await using replayed = await replay();
  for (const flags of FORMAT_FLAGS) {
    await t.step(flags.join(" "), async () => {
      const { agent, file } = await replayed.observe("--all", ...flags, "--use-default-field-masks=false");
      assert.equal(agent, file);
      assert(agent.split("\n").length > COUNT);
    });
  }
});

testWith(NEEDS, "hubble observe: --first, --last, --since and --until together with filters", async (t) => {
  await using replayed = await replay();
  const [early, late] = [timeOf(100), timeOf(300)];
  // Each of these has a meaning of its own for a file, so the expectation is computed here.
  const lines = flowLines(COUNT).map((line) => line.flow as { uuid: string; time: string; verdict: string });
  const dropped = lines.filter((flow) => flow.verdict === "DROPPED");
  const within = (flow: { time: string }) => flow.time >= early && flow.time <= late;
  const cases: Record<string, [string[], { uuid: string }[]]> = {
    "--first 7": [["--first", "7"], lines.slice(0, 7)],
    "--last 7": [["--last", "7"], lines.slice(-7)],
    "--first 7 --verdict DROPPED": [["--first", "7", "--verdict", "DROPPED"], dropped.slice(0, 7)],
    "--last 7 --verdict DROPPED": [["--last", "7", "--verdict", "DROPPED"], dropped.slice(-7)],
    "--since": [["--since", early], lines.filter((flow) => flow.time >= early)],
    "--since --until": [["--since", early, "--until", late], lines.filter(within)],
    "--since --until --verdict DROPPED": [
      ["--since", early, "--until", late, "--verdict", "DROPPED"],
      dropped.filter(within),
    ],
    "nothing at all: the last 20": [[], lines.slice(-20)],
  };
  for (const [name, [args, expected]] of Object.entries(cases)) {
    await t.step(name, async () => {
      const flows = flowsOf(await hubble(replayed.lab.node, ["observe", "-o", "json", ...args]));
      assert.deepEqual(flows.map((flow) => flow.uuid), expected.map((flow) => flow.uuid));
    });
  }
});

testWith(NEEDS, "hubble observe: a bad filter fails with Hubble's words", async (t) => {
  await using replayed = await replay();
  const cases: Record<string, [string[], RegExp]> = {
    "a CEL expression": [["--cel-expression", "_flow.nothing == 1"], /undefined field/],
    "a selector": [["--label", "a==b==c"], /found '=='|unable to parse|invalid/i],
    "an address": [["--allowlist", '{"source_ip":["10.0.0"]}'], /10\.0\.0/],
    "a port": [["--allowlist", '{"source_port":["http"]}'], /invalid source port.*http/],
    "a regular expression": [["--allowlist", '{"dns_query":["("]}'], /\(/],
    "a field mask": [["--field-mask", "no_such_field"], /fieldmask|field mask/i],
  };
  for (const [name, [args, message]] of Object.entries(cases)) {
    await t.step(name, async () => {
      const output = await hubble(replayed.lab.node, ["observe", "-o", "json", ...args], { allowFailure: true });
      assert.notEqual(output.code, 0);
      assert.match(output.stderr, message);
      // The agent goes on.
      assert.equal((await hubble(replayed.lab.node, ["status"])).code, 0);
    });
  }
});

testWith(NEEDS, "hubble list nodes, list namespaces, watch peers, agent-events, debug-events, reflect", async () => {
  await using replayed = await replay();
  const node = replayed.lab.node;
  assert.match(
    (await hubble(node, ["list", "nodes"])).stdout,
    /^NAME\s+STATUS\s+AGE\s+FLOWS\/S\s+CURRENT\/MAX-FLOWS\n\S*lab-node\s+Connected/,
  );
  const namespaces = JSON.parse((await hubble(node, ["list", "namespaces", "-o", "json"])).stdout) as unknown[];
  assert(Array.isArray(namespaces));
  await using peers = node.start(toolPath("hubble"), ["watch", "peers", "--server", "127.0.0.1:4244"], {
    env: CLI_ENV,
  });
  assert.match(await peers.waitForLine(() => true), /^PEER_ADDED\s+\S+\s+\S*lab-node/);
  assert.match((await hubble(node, ["observe", "agent-events", "--all", "-o", "json"])).stdout, /AGENT_STARTED/);
  assert.equal((await hubble(node, ["observe", "debug-events", "--all"])).code, 0);
  const files = (await hubble(node, ["reflect"])).stdout.trim().split("\n").map((line) => JSON.parse(line).name);
  for (const file of ["observer/observer.proto", "peer/peer.proto"]) assert(files.includes(file), `${files}`);
});

testWith(NEEDS, "--print writes what hubble observe prints of the same file", async () => {
  const file = await Deno.makeTempFile({ suffix: ".jsonl" });
  await using lab = await createLab({ pods: 0 });
  try {
    const time = timeOf(COUNT);
    const lost = [
      { source: "HUBBLE_RING_BUFFER", num_events_lost: "7" },
      { source: "PERF_EVENT_RING_BUFFER", num_events_lost: "8", cpu: 3, first: timeOf(1), last: timeOf(2) },
    ];
    const events = lost.map((lost_events) => `${JSON.stringify({ lost_events, node_name: "n", time })}\n`);
    await Deno.writeTextFile(file, toJsonLines(flowLines(COUNT)) + events.join(""));
    const expected = (await hubbleFile(file, [])).stdout.trimEnd().split("\n");
    await using agent = await startAgent(lab, { replay: file, args: ["--print"] });
    for (let tries = 0; agent.process.lines.length < expected.length && tries < 200; tries++) {
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    assert.equal(expected.length, COUNT + lost.length);
    assert.deepEqual(agent.process.lines, expected);
  } finally {
    await Deno.remove(file);
  }
});
