/** The whole agent under more than it can take, with clients that make it worse: it stays well, and every event is accounted for. */
import assert from "node:assert/strict";
import { metricSum, residentBytes } from "../../bench/load/measure.ts";
import { type AgentProcess, HUBBLE_PORT, startAgent } from "../lab/agent.ts";
import { createLab } from "../lab/lab.ts";
import { ebpf, lab, testWith } from "../lab/need.ts";

const SECONDS = 6;
/** Packets a second that the sender tries; each is the first of its connection and asks for an event at two points. */
const RATE = 400_000;
/** Room for some hundred events: the reader is away for longer than it takes to fill this. */
const SMALL_RING = 65_536;
const SLICE = { flood: "198.18.0.0/15", tolerance: 500 };

interface Counts {
  flows: number;
  kernelLost: number;
  readerLost: number;
  lostAt: Record<string, number[]>;
  vanished: number;
  slow: number;
}

async function settled(agent: AgentProcess) {
  for (;;) {
    const metrics = await agent.get("/metrics");
    const read = metricSum(metrics, "retina_events_read_total");
    const submitted = metricSum(metrics, "retina_events_submitted_total");
    if (read === submitted) return { read, submitted, lost: metricSum(metrics, "hubble_lost_events_total") };
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

for (const transport of ["ring", "perf"]) {
  testWith(
    [lab, ebpf],
    `agent_overload_${transport}: a flood with one hundred vanishing, one stopped and one slow follower`,
    async () => {
      await using lab = await createLab({ pods: 2 });
      const [from, to] = lab.pods;
      await from.namespace.ip(`route add ${SLICE.flood} via ${to.ipv4}`);
      await to.namespace.ip(`route add blackhole ${SLICE.flood}`);
      const sizes = ["--ring-buffer-size", `${SMALL_RING}`, "--perf-pages", "8"];
      await using agent = await startAgent(lab, { args: ["--event-transport", transport, ...sizes] });
      const script = new URL("followers.ts", import.meta.url).pathname;
      await using followers = lab.node.startDeno(["--allow-net", "--allow-env", script, `${HUBBLE_PORT}`]);
      await followers.waitForLine((line) => line === "following");
      const before = await settled(agent);

      const flood = new URL("../../bench/load/flood.ts", import.meta.url).pathname;
      const args = ["--allow-ffi", "--allow-read", flood, `${RATE}`, `${SECONDS}`];
      const flooding = from.namespace.runDeno(args, { timeoutMs: (SECONDS + 30) * 1000 });
      let memory = 0;
      for (let check = 0; check < 3; check++) {
        await new Promise((resolve) => setTimeout(resolve, SECONDS * 250));
        await agent.get("/healthz"); // throws unless it is green
        memory = Math.max(memory, residentBytes(agent.process.pid));
      }
      const { sent } = JSON.parse((await flooding).stdout) as { sent: number };
      await new Promise((resolve) => setTimeout(resolve, 4000)); // losses are told once a second
      const after = await settled(agent);
      await followers.closeInput();
      const counts: Counts = JSON.parse(await followers.waitForLine((line) => line.startsWith("{")));

      const read = after.read - before.read;
      const lost = after.lost - before.lost;
      console.log(
        JSON.stringify({ sent, read, lost, memoryMb: Math.round(memory / 1e6), ...counts, lostAt: undefined }),
      );
      assert.ok(lost > 0, "it was a flood");
      const offered = read + lost;
      assert.ok(offered >= 2 * sent && offered <= 2 * sent + SLICE.tolerance, `${offered} of ${2 * sent}`);
      assert.equal(counts.kernelLost, lost, "the follower was told of each");
      assert.ok(counts.flows + counts.readerLost >= read - SLICE.tolerance, "and of what it missed itself");
      for (const [cpu, times] of Object.entries(counts.lostAt)) {
        const gaps = times.slice(1).map((time, index) => time - times[index]);
        // Sent a second apart; the follower's own delays bring two of them closer together.
        assert.ok(
          times.length <= SECONDS + 5,
          `CPU ${cpu}: ${times.length} messages, ${gaps.map(Math.round)} ms apart`,
        );
      }
      assert.ok(counts.vanished >= 50, `${counts.vanished} followers had the time to vanish`);
      assert.ok(memory < 150e6, `${memory} bytes resident`);
      assert.equal(await agent.stop(), 0);
    },
    { timeoutMs: 120_000 },
  );
}
