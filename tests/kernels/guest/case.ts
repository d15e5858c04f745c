/**
 * Runs in the node's namespace of a lab inside the guest: loads one variant with the agent's loader, attaches it in each
 * mode that the kernel offers, and compares events and counters with the traffic. Arguments: the variant, and
 * {@link LabNames} as JSON. Prints a {@link CaseReport} a line.
 */
import { BpfObject } from "../../../ffi/bpf_object.ts";
import { SystemError } from "../../../ffi/error.ts";
import { interfaceIndex } from "../../../ffi/system.ts";
import type { TcAttachment } from "../../../ffi/tc.ts";
import { listTcFilters } from "../../../ffi/tc_filters.ts";
import { type Attacher, createAttacher } from "../../../src/plugins/packetparser/attach.ts";
import type { StatName } from "../../../src/plugins/packetparser/kernel_stats.ts";
import { type LoadedPrograms, loadPrograms } from "../../../src/plugins/packetparser/loader.ts";
import type { PacketparserOptions } from "../../../src/plugins/packetparser/options.ts";
import { namespace } from "../../lab/namespace.ts";
import { ping } from "../../lab/traffic.ts";
import type { CaseReport } from "../report.ts";
import { type Conversation, differences } from "./expect.ts";
import { type Moment, observe, type Observer } from "./observer.ts";
import { type LabNames, perform, startServer } from "./scene.ts";

const MODES = ["tcx", "legacy"] as const;
type Mode = typeof MODES[number];

/** Kernels from which on a mode or a transport must be there: being absent is a failure from then on. */
const SINCE: Readonly<Record<string, readonly [major: number, minor: number]>> = { tcx: [6, 6], ring: [5, 8] };

/** Short, so that a test can wait for what conntrack holds back; long enough that something is held back. */
const REPORT_INTERVAL_MS = 500;

const OPTIONS: Omit<PacketparserOptions, "eventTransport"> = {
  extraInterfaces: [],
  podLevel: true,
  tcAttach: "auto",
  samplingRate: 1,
  ringBufferSize: 8 << 20,
  perfPages: 64,
  conntrackEntries: 262_144,
  knobs: { report_interval_ns: BigInt(REPORT_INTERVAL_MS) * 1_000_000n },
};

/** Source ports of the datagrams: another one in each mode, so that the second one meets no connection of the first. */
const PORT: Readonly<Record<Mode, number>> = { tcx: 41_000, legacy: 42_000 };

/** The last acknowledgements of a connection may come after the tool that closed it has ended. */
const SETTLE_MS = 200;

/** The coarse clock of the ring variant stands still between timer ticks, ten milliseconds at most. */
const CLOCK_SLACK_NS = 10_000_000n;

async function main(variant: "ring" | "perf", names: LabNames): Promise<void> {
  const say = (report: Omit<CaseReport, "kind" | "variant">) =>
    console.log(JSON.stringify({ kind: "case", variant, ...report } satisfies CaseReport));
  const began = performance.now();
  let programs: LoadedPrograms;
  try {
    programs = await loadAll(variant);
  } catch (error) {
    for (const mode of MODES) say({ mode, result: mustHave(variant) ? "fail" : "absent", detail: text(error) });
    return;
  }
  const loadMs = performance.now() - began;
  using _programs = programs;
  const devices = [...names.pods, names.client].map((host) => host.nodeDevice);
  using observer = observe(programs, devices);
  await using _server = await startServer(names);
  for (const mode of MODES) {
    let attacher: Attacher;
    try {
      attacher = createAttacher(programs, mode);
    } catch (error) {
      say({ mode, result: mustHave(mode) ? "fail" : "absent", detail: text(error), loadMs });
      continue;
    }
    try {
      const { problems, events, packets } = await testMode(programs, observer, attacher, mode, names, devices);
      const detail = problems.slice(0, 20).join("\n");
      say({ mode, result: problems.length === 0 ? "pass" : "fail", detail, loadMs, events, packets });
    } catch (error) {
      say({ mode, result: "fail", detail: text(error), loadMs });
    }
  }
}

/** Loads every program of a variant: the agent loads some of them only when it meets a device that needs them. */
async function loadAll(variant: "ring" | "perf"): Promise<LoadedPrograms> {
  const programs = await loadPrograms({ ...OPTIONS, eventTransport: variant });
  try {
    const path = new URL(`../../../bpf/build/packetparser.${variant}.bpf.o`, import.meta.url);
    using object = BpfObject.open(await Deno.readFile(path), "packetparser");
    for (const name of object.programNames()) programs.program(name);
    return programs;
  } catch (error) {
    programs[Symbol.dispose]();
    throw error;
  }
}

/** Attaches, sends, compares, detaches, and sees that nothing is left. */
async function testMode(
  programs: LoadedPrograms,
  observer: Observer,
  attacher: Attacher,
  mode: Mode,
  names: LabNames,
  devices: readonly string[],
) {
  const problems: string[] = [];
  const check = (what: string, actual: unknown, wanted: unknown) => {
    if (actual !== wanted) problems.push(`${what}: ${actual}, expected ${wanted}`);
  };

  const attachments: TcAttachment[] = [];
  let conversations: Conversation[], before: Moment, after: Moment;
  try {
    for (const device of devices) {
      const point = device === names.client.nodeDevice ? "host" : "endpoint";
      attachments.push(...attacher.attach(interfaceIndex(device), { point, ethernet: true, ingressOnly: false }));
    }
    for (const one of attachments) {
      check(`attach mode of ${one.ifindex} ${one.direction}`, one.mode, mode);
      check(`attached to ${one.ifindex} ${one.direction}`, one.attached(), true);
    }
    before = await observer.moment();
    conversations = await perform(names, interfaceIndex, PORT[mode], REPORT_INTERVAL_MS);
    await new Promise((resolve) => setTimeout(resolve, SETTLE_MS));
    after = await observer.moment();
  } finally {
    for (const one of attachments) one[Symbol.dispose]();
  }

  const events = observer.events(before, after);
  for (const conversation of conversations) problems.push(...differences(events, conversation));
  const early = events.filter((event) => event.nanos < before.clock - CLOCK_SLACK_NS).length;
  const late = events.filter((event) => event.nanos > after.clock).length;
  check("events with a time stamp before or after the test", early + late, 0);
  const counted = (name: StatName) => after.stats[name] - before.stats[name];
  check("events read", events.length, counted("events"));
  check("events lost", counted("lost") + counted("untracked_lost"), 0);
  check("ring corruptions", programs.ring.corruptions, 0);
  const packets = after.devices.packets - before.devices.packets;
  check("packets that the programs saw", counted("packets"), packets);
  check("bytes that the programs saw", counted("bytes"), after.devices.bytes - before.devices.bytes);

  const detached = observer.stats.totals().packets;
  await ping(namespace(names.pods[0].namespace), names.pods[1].ipv4);
  check("packets seen after detaching", observer.stats.totals().packets - detached, 0);
  const left = devices.flatMap((device) =>
    (["ingress", "egress"] as const).flatMap((direction) => listTcFilters(interfaceIndex(device), direction))
  );
  check("filters left after detaching", left.length, 0);
  return { problems, events: events.length, packets };
}

function mustHave(feature: string): boolean {
  const [major, minor] = Deno.osRelease().split(/[.-]/).map(Number);
  const [sinceMajor, sinceMinor] = SINCE[feature] ?? [0, 0];
  return major > sinceMajor || (major === sinceMajor && minor >= sinceMinor);
}

/** The message of an error, and for a program that the verifier refused the end of its log. */
function text(error: unknown): string {
  if (!(error instanceof Error)) return `${error}`;
  const log = error instanceof SystemError && error.log !== undefined ? `\n${error.log.slice(-8000)}` : "";
  return `${error.message}${log}`;
}

await main(Deno.args[0] === "perf" ? "perf" : "ring", JSON.parse(Deno.args[1]));
