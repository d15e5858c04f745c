import assert from "node:assert/strict";
import { LinkMonitor } from "../../ffi/netlink.ts";
import { interfaceIndex } from "../../ffi/system.ts";
import { tcxPrograms } from "../../ffi/testing.ts";
import { InterfaceWatcher } from "../../src/plugins/packetparser/watcher.ts";
import { network } from "../../src/plugins/packetparser/network.ts";
import { ebpf, lab, tcx, testWith } from "../lab/need.ts";
import type { Lab } from "../lab/lab.ts";
import { inLab, recordingContext, until, type Watch, watching } from "./harness.ts";

/** Pods of the churn test; the whole number of the done-criterion takes a minute: RETINA_CHURN_PODS=500. */
const CHURN = Number(Deno.env.get("RETINA_CHURN_PODS") ?? 40);

/** Adds a pod: a veth from the node's namespace into the client's, which stands for any other. */
async function addPod(lab: Lab, name: string, options = ""): Promise<void> {
  await lab.node.ip(
    `link add name ${name} ${options} type veth peer name p-${name} netns ${lab.client.namespace.name}`,
  );
}

function isAttached(watch: Watch, name: string): boolean {
  return watch.plugin.stats()?.interfaces.some((state) => state.name === name && state.attached) ?? false;
}

function names(watch: Watch): string[] {
  return (watch.plugin.stats()?.interfaces ?? []).map(({ name }) => name).sort();
}

for (const mode of ["tcx", "legacy"] as const) {
  testWith(
    mode === "tcx" ? [lab, ebpf, tcx] : [lab, ebpf],
    `watcher_${mode}: attaches within 100 ms of an interface being up`,
    () =>
      inLab(0, (lab) =>
        watching({ podLevel: true, tcAttach: mode }, async (watch) => {
          const delays: number[] = [];
          for (let round = 0; round < 7; round++) {
            await addPod(lab, `pod${round}`);
            assert.equal(isAttached(watch, `pod${round}`), false, "it is down");
            await lab.node.ip(`link set pod${round} up`);
            delays.push(await until("attached", () => isAttached(watch, `pod${round}`)));
          }
          delays.sort((a, b) => a - b);
          // The median: this machine may be doing something else.
          assert.ok(delays[3] < 100, `${delays.map(Math.round)} ms`);
        })),
  );
}

testWith(
  [lab, ebpf],
  "watcher: follows renames and removals, and pods that do not match are left alone",
  () =>
    inLab(
      1,
      (lab) =>
        watching({ podLevel: true, podInterfaces: /^(veth|pod)/, extraInterfaces: ["auto"] }, async (watch) => {
          assert.deepEqual(names(watch), ["eth0", "veth0"]);
          await addPod(lab, "other1");
          await addPod(lab, "poda");
          await lab.node.ip("link set other1 up\nlink set poda up");
          await until("poda", () => isAttached(watch, "poda"));
          assert.deepEqual(names(watch), ["eth0", "poda", "veth0"]);
          await lab.node.ip("link set poda name podb");
          await until("podb", () => watch.names.get(interfaceIndex("podb")) === "podb");
          await lab.node.ip("link del podb");
          await until("removal", () => names(watch).length === 2);
          assert.deepEqual([...watch.names.values()].sort(), ["eth0", "veth0"]);
        }),
    ),
);

testWith(
  [lab, ebpf],
  "watcher: an index that goes to another interface is attached anew",
  () =>
    inLab(0, (lab) =>
      watching({ podLevel: true }, async (watch) => {
        await addPod(lab, "first", "index 777");
        await lab.node.ip("link set first up");
        await until("first", () => isAttached(watch, "first"));
        // One batch: the watcher sees the removal and the newcomer in one poll.
        await lab.node.ip(
          `link del first\nlink add name second index 777 type veth peer name p-second netns ${lab.client.namespace.name}\nlink set second up`,
        );
        await until("second", () => isAttached(watch, "second"));
        assert.equal(watch.names.get(777), "second");
        if (tcx() === undefined) assert.equal(tcxPrograms(777, "ingress").length, 1);
        const before = watch.events.length;
        await lab.client.namespace.ip(
          "link set p-second up\nneigh add 198.51.100.1 lladdr 02:00:00:00:00:01 dev p-second",
        );
        await lab.client.namespace.run("ping", ["-n", "-c", "1", "-W", "1", "-I", "p-second", "198.51.100.1"], {
          allowFailure: true,
        });
        await until(
          "an event of the newcomer",
          () => watch.events.slice(before).some(({ ifindex }) => ifindex === 777),
        );
      })),
);

testWith(
  [lab, ebpf],
  "watcher: a name with odd bytes is no trouble",
  () =>
    inLab(0, (lab) =>
      watching({ podLevel: true }, async (watch) => {
        const name = "\x01\u00e9\x7f[{'\"$`<&é";
        await addPod(lab, "plain");
        await lab.node.run("ip", ["link", "set", "plain", "name", name]);
        await lab.node.run("ip", ["link", "set", name, "up"]);
        await until("attached", () => isAttached(watch, name));
      })),
);

testWith(
  [lab, ebpf],
  "watcher: lists everything again when the kernel had to drop changes",
  () =>
    inLab(0, async (lab) => {
      const { context, names: seen } = recordingContext();
      const attached = new Set<number>();
      const watcher = new InterfaceWatcher({
        network: { ...network, monitor: () => new LinkMonitor(2304) },
        attacher: {
          mode: "tcx",
          attach(ifindex) {
            attached.add(ifindex);
            const attachment = { mode: "tcx", ifindex, direction: "ingress", attached: () => true } as const;
            return [{ ...attachment, [Symbol.dispose]: () => void attached.delete(ifindex) }];
          },
        },
        wanted: { extraInterfaces: [], podLevel: true, podInterfaces: /^pod/ },
        names: context.interfaces,
        log: context.log,
        beforeRemoval: () => {},
      });
      watcher.start();
      try {
        // This thread waits for ip, so that nothing takes the changes meanwhile.
        const pods = Array.from({ length: 12 }, (_, index) => `pod${index}`);
        const batch = pods.map((name) =>
          `link add name ${name} type veth peer name p-${name} netns ${lab.client.namespace.name}\nlink set ${name} up\n`
        );
        const file = Deno.makeTempFileSync();
        Deno.writeTextFileSync(file, batch.join(""));
        new Deno.Command("ip", { args: ["-n", lab.node.name, "-batch", file] }).outputSync();
        Deno.removeSync(file);
        await until("every pod", () => {
          watcher.poll();
          return attached.size === pods.length;
        });
        assert.ok(watcher.counters.overruns > 0);
        assert.deepEqual([...seen.values()].sort(), pods.sort());
      } finally {
        watcher.stop();
      }
      assert.equal(attached.size, 0);
    }),
);

testWith(
  [lab, ebpf],
  `watcher: ${CHURN} pods that come and go leave no link, file descriptor or memory behind`,
  () =>
    inLab(1, (lab) =>
      watching({ podLevel: true, podInterfaces: /^(veth|w|c)/ }, async (watch) => {
        const descriptors = () => [...Deno.readDirSync("/proc/self/fd")].length;
        const churn = async (count: number, tag: string) => {
          const batches = Array.from({ length: Math.ceil(count / 10) }, (_, index) => Math.min(10, count - 10 * index));
          for (const [index, size] of batches.entries()) {
            const pods = Array.from({ length: size }, (_, pod) => `${tag}${index}x${pod}`);
            for (const pod of pods) await addPod(lab, pod);
            await lab.node.ip(pods.map((pod) => `link set ${pod} up`).join("\n"));
            await until("all attached", () => pods.every((pod) => isAttached(watch, pod)), 20_000);
            await lab.node.ip(pods.map((pod) => `link del ${pod}`).join("\n"));
          }
          await until("all forgotten", () => names(watch).length === 1, 20_000);
        };
        await churn(10, "w"); // what is allocated once is allocated now
        const before = { descriptors: descriptors(), rss: Deno.memoryUsage().rss };
        await churn(CHURN, "c");
        assert.equal(descriptors(), before.descriptors);
        assert.deepEqual([...watch.names.values()].sort(), ["veth0"]);
        const grown = (Deno.memoryUsage().rss - before.rss) / 2 ** 20;
        // The test itself starts processes and keeps log lines; a link that stays would be about 1 kB of kernel memory and no RSS.
        assert.ok(grown < 40, `${grown} MiB`);
        assert.equal(watch.plugin.stats()?.watcher.failures, 0);
      })),
  { timeoutMs: 300_000 },
);
