import assert from "node:assert/strict";
import { BpfObject } from "../../ffi/bpf_object.ts";
import { interfaceIndex } from "../../ffi/system.ts";
import { attachLegacy, attachTcx, type TcAttachment, type TcDirection } from "../../ffi/tc.ts";
import { listTcFilters } from "../../ffi/tc_filters.ts";
import { appendTcx, minimalObject, tcxPrograms } from "../../ffi/testing.ts";
import { ObservationPoint } from "../../src/flow/record.ts";
import { removeStaleFilters } from "../../src/plugins/packetparser/attach.ts";
import type { Lab, LabHost } from "../lab/lab.ts";
import { ebpf, lab, program, tcx, testWith } from "../lab/need.ts";
import { inLab, type SeenEvent, until, watching } from "./harness.ts";

const MODES = ["tcx", "legacy"] as const;
const TRANSPORTS = ["ring", "perf"] as const;
const ICMP = 1;

function needs(mode: typeof MODES[number]) {
  return mode === "tcx" ? [lab, ebpf, tcx] : [lab, ebpf];
}

/** Whether one ping from a host gets an answer. */
async function pings(from: LabHost, to: string): Promise<boolean> {
  return (await from.namespace.run("ping", ["-n", "-c", "1", "-W", "1", to], { allowFailure: true })).code === 0;
}

function pointsOf(events: readonly SeenEvent[], device: string): number[] {
  const ifindex = interfaceIndex(device);
  return [
    ...new Set(
      events.filter((event) => event.ifindex === ifindex && event.protocol === ICMP).map(({ point }) => point),
    ),
  ]
    .sort();
}

/** Names of the legacy filters on both directions of a device. */
function filters(device: string): string[] {
  return (["ingress", "egress"] as const).flatMap((direction) =>
    listTcFilters(interfaceIndex(device), direction).map(({ programName }) => programName.replace(/:.*/, ""))
  );
}

for (const mode of MODES) {
  for (const transport of TRANSPORTS) {
    testWith(
      needs(mode),
      `attach_${mode}: sees a ping at the pod's veth and at the host device over ${transport}, and leaves nothing`,
      () =>
        inLab(1, async (lab) => {
          const [pod] = lab.pods;
          await watching(
            { extraInterfaces: ["auto"], podLevel: true, tcAttach: mode, eventTransport: transport },
            async (watch) => {
              const before = Date.now();
              assert.equal(await pings(pod, lab.client.ipv4), true);
              await until("events of both directions at both devices", () =>
                pointsOf(watch.events, pod.nodeDevice).length === 2 &&
                pointsOf(watch.events, lab.hostDevice).length === 2);
              assert.deepEqual(pointsOf(watch.events, pod.nodeDevice), [
                ObservationPoint.FROM_ENDPOINT,
                ObservationPoint.TO_ENDPOINT,
              ]);
              assert.deepEqual(pointsOf(watch.events, lab.hostDevice), [
                ObservationPoint.FROM_NETWORK,
                ObservationPoint.TO_NETWORK,
              ]);
              for (const event of watch.events) {
                assert.ok(
                  event.wallMillis >= before - 5000 && event.wallMillis <= Date.now() + 50,
                  `${event.wallMillis - before} ms`,
                );
              }
              const stats = watch.plugin.stats();
              assert.equal(stats?.transport, transport);
              assert.equal(stats?.attachMode, mode);
              assert.equal(stats?.kernel.lost, 0);
            },
          );
          assertNothingLeft(lab);
        }),
    );
  }

  for (const when of ["before", "after"] as const) {
    testWith(
      needs(mode),
      `attach_${mode}: shares the hook with a program that lets packets pass, attached ${when} the agent`,
      () =>
        inLab(2, async (lab) => {
          await withOther(lab, mode, "pass", when, async (events) => {
            assert.equal(await pings(lab.pods[0], lab.pods[1].ipv4), true);
            await until("an event", () => events.some(({ protocol }) => protocol === ICMP));
          });
        }),
    );
    testWith(
      needs(mode),
      `attach_${mode}: sees what a program drops, and does not save it, attached ${when} the agent`,
      () =>
        inLab(2, async (lab) => {
          await withOther(lab, mode, "drop", when, async (events) => {
            // A neighbour entry, so that the ping itself reaches the program.
            await lab.pods[0].namespace.ip("neigh replace 10.244.0.11 lladdr 02:00:00:00:00:01 dev eth0 nud permanent");
            assert.equal(await pings(lab.pods[0], lab.pods[1].ipv4), false);
            await until("an event", () => events.some(({ protocol }) => protocol === ICMP));
          });
        }),
    );
  }
}

/** Runs a body while the agent and another program share a pod's veth. */
async function withOther(
  lab: Lab,
  mode: typeof MODES[number],
  name: "pass" | "drop",
  when: "before" | "after",
  body: (events: SeenEvent[]) => Promise<void>,
): Promise<void> {
  using object = BpfObject.open(minimalObject(), "other");
  object.setConstant("small_knob", 0).load(); // TC_ACT_OK
  const ifindex = interfaceIndex(lab.pods[0].nodeDevice);
  const attach = (direction: TcDirection): TcAttachment =>
    mode === "tcx"
      ? attachTcx(object.program(name), ifindex, direction)
      : attachLegacy(object.program(name), ifindex, direction, { handle: 1, priority: when === "before" ? 1 : 2 });
  using stack = new DisposableStack();
  const attachBoth = () => {
    stack.use(attach("ingress"));
    stack.use(attach("egress"));
  };
  if (when === "before") attachBoth();
  await watching({ podLevel: true, tcAttach: mode }, async ({ events }) => {
    if (when === "after" && mode === "legacy") attachBoth();
    // Without a wish for a place TCX appends; attachTcx() wishes for the first.
    if (when === "after" && mode === "tcx") {
      for (const direction of ["ingress", "egress"] as const) {
        stack.use(appendTcx(object.program(name), ifindex, direction));
      }
    }
    await body(events);
  });
  const left = mode === "tcx" ? tcxPrograms(ifindex, "ingress").length : listTcFilters(ifindex, "ingress").length;
  assert.equal(left, 1, "the other program is still there");
}

testWith(
  [lab, ebpf],
  "attach_legacy: what a killed agent left is replaced at the next start, and detach removes it",
  () =>
    inLab(1, async (lab) => {
      const device = lab.pods[0].nodeDevice;
      const kill = async () => {
        const child = new Deno.Command(Deno.execPath(), {
          args: ["run", "-A", "--no-check", new URL("./abandon.ts", import.meta.url).pathname],
          stdout: "piped",
        }).spawn();
        const reader = child.stdout.getReader();
        await reader.read(); // one line: it is attached
        child.kill("SIGKILL");
        await reader.cancel();
        await child.status;
      };
      await kill();
      assert.deepEqual(filters(device), ["endpoint_ingres", "endpoint_egress"]);
      await kill();
      assert.deepEqual(filters(device), ["endpoint_ingres", "endpoint_egress"], "replaced, not doubled");
      await watching({ podLevel: true, tcAttach: "auto" }, async (watch) => {
        assert.ok(
          watch.log.some((line) => line === `Removed the ingress filter that a former agent left on ${device}`),
          `${watch.log}`,
        );
        assert.equal(await pings(lab.pods[0], "10.244.0.1"), true);
      });
      await kill();
      assert.equal(removeStaleFilters().filter((filter) => filter.interface === device).length, 2);
      assert.deepEqual(filters(device), []);
    }),
);

testWith(
  [lab, ebpf, program("tc")],
  "attach_legacy: detach leaves foreign filters and their clsact alone",
  () =>
    inLab(1, async (lab) => {
      using object = BpfObject.open(minimalObject(), "other");
      object.load();
      const ifindex = interfaceIndex(lab.pods[0].nodeDevice);
      using _other = attachLegacy(object.program("pass"), ifindex, "ingress", { handle: 1, priority: 1 });
      assert.deepEqual(removeStaleFilters(), []);
      await watching({ podLevel: true, tcAttach: "legacy" }, () => Promise.resolve());
      assert.deepEqual(filters(lab.pods[0].nodeDevice), ["pass"]);
    }),
);

testWith(
  [lab, ebpf],
  "attach: an unknown interface and impossible sizes end the start, with nothing left",
  () =>
    inLab(1, async (lab) => {
      for (
        const [options, message] of [
          [{ extraInterfaces: ["eth0", "eth9"] }, /^Error: Cannot watch interface "eth9": there is none of that name/],
          [{ ringBufferSize: 0 }, /^RangeError: Cannot use --ring-buffer-size 0/],
          [{ ringBufferSize: 12288 }, /^RangeError: Cannot use --ring-buffer-size 12288/],
          [{ objectDirectory: "/nowhere" }, /^Error: Cannot read \/nowhere\/packetparser\.ring\.bpf\.o: .* build:ebpf/],
          [{ conntrackEntries: 2 ** 31 }, /^LibbpfError: Load BPF object packetparser: (E2BIG|ENOMEM|EINVAL)/],
        ] as const
      ) {
        await assert.rejects(
          watching({ podLevel: true, ...options }, () => Promise.reject(new Error("started"))),
          message,
        );
        assertNothingLeft(lab);
      }
    }),
);

for (const transport of TRANSPORTS) {
  testWith(
    [lab, ebpf],
    `attach: a device without an Ethernet header gets programs for it when it comes, over ${transport}`,
    () =>
      inLab(0, async (lab) => {
        await lab.node.ip("tuntap add dev tun7 mode tun\naddress add 198.51.100.1/24 dev tun7");
        await watching({ extraInterfaces: ["tun7"], eventTransport: transport }, async (watch) => {
          await lab.node.ip("link set tun7 up");
          await until("attached", () => watch.plugin.stats()?.interfaces.some(({ attached }) => attached) ?? false);
          await lab.node.run("ping", ["-n", "-c", "1", "-W", "1", "198.51.100.2"], { allowFailure: true });
          await until("an event", () => watch.events.some(({ protocol }) => protocol === ICMP));
          assert.deepEqual(pointsOf(watch.events, "tun7"), [ObservationPoint.TO_NETWORK]);
          assert.equal(watch.events.find(({ protocol }) => protocol === ICMP)?.bytes, 84, "no link header is counted");
        });
      }),
  );
}

testWith(
  [lab, ebpf],
  "attach: loopback shows each packet once",
  () =>
    inLab(0, (lab) =>
      watching({ extraInterfaces: ["lo"] }, async (watch) => {
        await lab.node.run("ping", ["-n", "-c", "1", "127.0.0.1"]);
        // Both ends are one, so the answer is held back as a further packet of the request's direction.
        await until("the request", () => watch.events.length > 0);
        assert.equal(watch.plugin.stats()?.kernel.packets, 2);
      })),
);

function assertNothingLeft(lab: Lab): void {
  for (const device of [lab.hostDevice, lab.pods[0].nodeDevice]) {
    assert.deepEqual(filters(device), []);
    assert.doesNotMatch(qdiscs(device), /clsact/);
    if (tcx() === undefined) {
      for (const direction of ["ingress", "egress"] as const) {
        assert.deepEqual(tcxPrograms(interfaceIndex(device), direction), []);
      }
    }
  }
}

function qdiscs(device: string): string {
  return new TextDecoder().decode(
    new Deno.Command("tc", { args: ["qdisc", "show", "dev", device] }).outputSync().stdout,
  );
}
