import assert from "node:assert/strict";
import { LibbpfError } from "../../../ffi/error.ts";
import type { Link, LinkChange } from "../../../ffi/link.ts";
import type { TcAttachment } from "../../../ffi/tc.ts";
import { InterfaceWatcher, type Network } from "./watcher.ts";
import type { Wanted } from "./roles.ts";

function veth(index: number, name = `veth${index}`, fields: Partial<Link> = {}): Link {
  return {
    ...{ index, name, kind: "veth", up: true, loopback: false, hardwareType: 1 },
    ...{ master: 0, masterKind: "", peerIndex: 2, peerNamespace: 0, address: new Uint8Array(6) },
    ...fields,
  };
}

/** Plays the kernel: interfaces, what is attached to them, and the changes that a monitor would tell. */
function setUp(wanted: Partial<Wanted> = { podLevel: true }) {
  const kernel = {
    links: [] as Link[],
    changes: [] as LinkChange[],
    overrun: false,
    broken: false,
    refuse: new Set<number>(),
    vanished: new Set<number>(),
    now: 0,
    attachMs: 0,
    attached: [] as { ifindex: number; alive: boolean }[],
    monitors: 0,
    names: new Map<number, string>(),
    drained: 0,
    log: [] as string[],
    facts: { defaultRoutes: new Set<number>(), addresses: [] },
  };
  const network: Network = {
    listLinks: () => kernel.links,
    facts: () => kernel.facts,
    monitor() {
      kernel.monitors++;
      return {
        poll() {
          if (kernel.broken) throw new Error("broken");
          const taken = { changes: kernel.changes, overrun: kernel.overrun };
          kernel.changes = [];
          kernel.overrun = false;
          return taken;
        },
        [Symbol.dispose]: () => void kernel.monitors--,
      };
    },
  };
  const attach = (ifindex: number): TcAttachment[] => {
    kernel.now += kernel.attachMs;
    if (kernel.vanished.has(ifindex)) throw new LibbpfError("Attach", 19);
    if (kernel.refuse.has(ifindex)) throw new Error(`refused ${ifindex}`);
    const entry = { ifindex, alive: true };
    kernel.attached.push(entry);
    return [{
      ...{ mode: "tcx", ifindex, direction: "ingress" },
      attached: () => entry.alive,
      [Symbol.dispose]: () => void kernel.attached.splice(kernel.attached.indexOf(entry), 1),
    }];
  };
  const write = (level: string) => (message: string) => void kernel.log.push(`${level} ${message}`);
  const watcher = new InterfaceWatcher({
    ...{ network, attacher: { mode: "tcx", attach }, wanted: { extraInterfaces: [], podLevel: false, ...wanted } },
    names: {
      set: (index, name) => void kernel.names.set(index, name),
      remove: (index) => void kernel.names.delete(index),
    },
    log: { debug: write("debug"), info: write("info"), warning: write("warning"), error: write("error") },
    beforeRemoval: () => void kernel.drained++,
    now: () => kernel.now,
  });
  const on = () => kernel.attached.map(({ ifindex }) => ifindex).sort((a, b) => a - b);
  return { kernel, watcher, on };
}

Deno.test("InterfaceWatcher attaches to what is there and to what comes, and forgets what goes", () => {
  const { kernel, watcher, on } = setUp();
  kernel.links = [veth(5), veth(6)];
  watcher.start();
  assert.deepEqual(on(), [5, 6]);
  kernel.changes = [{ kind: "changed", link: veth(7) }, { kind: "removed", link: veth(5) }];
  watcher.poll();
  assert.deepEqual(on(), [6, 7]);
  assert.deepEqual([...kernel.names], [[6, "veth6"], [7, "veth7"]]);
  assert.equal(kernel.drained, 1);
  watcher.stop();
  watcher.stop();
  assert.deepEqual(on(), []);
  assert.equal(kernel.monitors, 0);
});

Deno.test("InterfaceWatcher waits for an interface to be up, and keeps it when it goes down", () => {
  const { kernel, watcher, on } = setUp();
  watcher.start();
  kernel.changes = [{ kind: "changed", link: veth(5, "veth5", { up: false }) }];
  watcher.poll();
  assert.deepEqual(on(), []);
  kernel.changes = [{ kind: "changed", link: veth(5) }];
  watcher.poll();
  assert.deepEqual(on(), [5]);
  kernel.changes = [{ kind: "changed", link: veth(5, "veth5", { up: false }) }];
  watcher.poll();
  assert.deepEqual(on(), [5]);
  watcher.stop();
});

Deno.test("InterfaceWatcher follows a rename", () => {
  const { kernel, watcher } = setUp();
  kernel.links = [veth(5)];
  watcher.start();
  kernel.changes = [{ kind: "changed", link: veth(5, "pod-a") }];
  watcher.poll();
  assert.deepEqual([...kernel.names], [[5, "pod-a"]]);
  assert.equal(watcher.states()[0].name, "pod-a");
  watcher.stop();
});

Deno.test("InterfaceWatcher notices that an index belongs to another interface", () => {
  const { kernel, watcher, on } = setUp();
  kernel.links = [veth(5)];
  watcher.start();
  kernel.attached[0].alive = false; // its interface went, and a new one has the index
  kernel.changes = [{ kind: "changed", link: veth(5, "veth-new") }];
  watcher.poll();
  assert.deepEqual(on(), [5]);
  assert.equal(kernel.attached[0].alive, true);
  assert.deepEqual([...kernel.names], [[5, "veth-new"]]);
  watcher.stop();
});

Deno.test("InterfaceWatcher lists everything again after an overrun and every minute", () => {
  const { kernel, watcher, on } = setUp();
  kernel.links = [veth(5)];
  watcher.start();
  kernel.links = [veth(6)];
  kernel.overrun = true;
  watcher.poll();
  assert.deepEqual(on(), [6]);
  assert.equal(watcher.counters.overruns, 1);
  kernel.links = [veth(7)];
  kernel.now = 59_000;
  watcher.poll();
  assert.deepEqual(on(), [6]);
  kernel.now = 60_000;
  watcher.poll();
  assert.deepEqual(on(), [7]);
  assert.equal(watcher.counters.resyncs, 3);
  watcher.stop();
});

Deno.test("InterfaceWatcher makes a broken socket anew and lists everything again", () => {
  const { kernel, watcher, on } = setUp();
  watcher.start();
  kernel.broken = true;
  watcher.poll();
  assert.equal(kernel.monitors, 0);
  kernel.broken = false;
  kernel.links = [veth(5)];
  watcher.poll();
  assert.equal(kernel.monitors, 0, "not at once");
  kernel.now = 1000;
  watcher.poll();
  assert.deepEqual(on(), [5]);
  assert.equal(watcher.counters.reopened, 1);
  watcher.stop();
});

Deno.test("InterfaceWatcher tries again with a growing pause, and tells why it failed", () => {
  const { kernel, watcher, on } = setUp();
  kernel.refuse.add(5);
  kernel.links = [veth(5), veth(6)];
  watcher.start();
  assert.deepEqual(on(), [6]);
  const tries: number[] = [];
  for (kernel.now = 1; kernel.now < 2000; kernel.now++) {
    const before = watcher.counters.failures;
    watcher.poll();
    if (watcher.counters.failures > before) tries.push(kernel.now);
  }
  assert.deepEqual(tries, [100, 300, 700, 1500]);
  const [state] = watcher.states();
  assert.deepEqual(state, {
    ifindex: 5,
    name: "veth5",
    point: "endpoint",
    attached: false,
    failures: 5,
    error: "refused 5",
  });
  kernel.refuse.clear();
  kernel.now = 60_000;
  watcher.poll();
  assert.deepEqual(on(), [5, 6]);
  assert.deepEqual(watcher.states().find((state) => state.ifindex === 5), {
    ...{ ifindex: 5, name: "veth5", point: "endpoint", attached: true, failures: 0 },
  });
  watcher.stop();
});

Deno.test("InterfaceWatcher attaches hundreds of pods in turns", () => {
  const { kernel, watcher, on } = setUp({ podLevel: true, extraInterfaces: ["veth400"] });
  kernel.links = Array.from({ length: 401 }, (_, index) => veth(index + 1));
  kernel.attachMs = 10;
  watcher.start();
  assert.ok(on().length > 20 && on().length < 50, `${on().length} at start`);
  assert.ok(on().includes(400), "what was named is attached first");
  const before = on().length;
  assert.equal(watcher.poll(), true);
  assert.equal(on().length, before + 3, "20 ms, and the one that goes over");
  let turns = 1;
  while (watcher.poll()) turns++;
  assert.equal(on().length, 401);
  assert.ok(turns > 100);
  watcher.stop();
});

Deno.test("InterfaceWatcher makes no noise about an interface that vanished between notice and attach", () => {
  const { kernel, watcher } = setUp();
  watcher.start();
  kernel.vanished.add(5);
  kernel.changes = [{ kind: "changed", link: veth(5) }];
  watcher.poll();
  kernel.changes = [{ kind: "removed", link: veth(5) }];
  watcher.poll();
  assert.deepEqual(watcher.states(), []);
  assert.deepEqual(kernel.log.filter((line) => line.startsWith("warning")), []);
  watcher.stop();
});

Deno.test("InterfaceWatcher changes the role of a veth that turns out to be the node's own", () => {
  const { kernel, watcher } = setUp({ podLevel: true, extraInterfaces: ["auto"] });
  kernel.links = [veth(5)];
  watcher.start();
  assert.equal(watcher.states()[0].point, "endpoint");
  kernel.facts = { defaultRoutes: new Set([5]), addresses: [] };
  kernel.now = 1000;
  kernel.changes = [{ kind: "changed", link: veth(5) }];
  watcher.poll();
  assert.equal(watcher.states()[0].point, "host");
  assert.equal(kernel.attached.length, 1);
  watcher.stop();
});

Deno.test("start() names an interface that is not there, or that the kernel refuses", () => {
  const missing = setUp({ extraInterfaces: ["eth9"] });
  missing.kernel.links = [veth(5)];
  assert.throws(
    () => missing.watcher.start(),
    /Cannot watch interface "eth9": there is none of that name, expected one of veth5/,
  );
  missing.watcher.stop();
  const refused = setUp({ extraInterfaces: ["veth5"] });
  refused.kernel.links = [veth(5)];
  refused.kernel.refuse.add(5);
  assert.throws(() => refused.watcher.start(), /^Error: refused 5$/);
  refused.watcher.stop();
  assert.equal(refused.kernel.monitors, 0);
});
