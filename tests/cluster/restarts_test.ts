import fc from "fast-check";
import { withCluster } from "./cluster.ts";
import { anyStep, type Step } from "./history.ts";

/** What may happen to a control plane between two steps of the cluster's history. */
const ACTIONS = [
  "none",
  "none",
  "none",
  "drop watches",
  "compact",
  "expire",
  "restart operator",
  "restart agent",
] as const;

Deno.test("every agent's cache equals the API's truth after any history and any restarts", async () => {
  const portion = fc.record({
    steps: fc.array(anyStep, { minLength: 1, maxLength: 8 }),
    action: fc.constantFrom(...ACTIONS),
    wait: fc.boolean(),
  });
  await fc.assert(
    fc.asyncProperty(fc.array(portion, { minLength: 1, maxLength: 6 }), (history) =>
      withCluster(async (cluster) => {
        let operator = await cluster.operator();
        const port = operator.grpcPort;
        const address = `127.0.0.1:${port}`;
        cluster.agent(address);
        cluster.agent(address);
        for (const { steps, action, wait } of history) {
          if (action === "restart operator") await cluster.stopOperator(operator);
          // What happens now happens while nobody looks.
          if (action === "drop watches" || action === "compact") cluster.api.dropWatches();
          for (const step of steps) apply(step);
          if (action === "compact") cluster.api.compact();
          if (action === "expire") cluster.api.expireWatches();
          if (action === "restart operator") operator = await cluster.operator(["--grpc-port", String(port)]);
          if (action === "restart agent") {
            await cluster.agents.shift()!.source.stop();
            cluster.agent(address);
          }
          if (wait) await cluster.settled();
        }
        await cluster.settled();

        function apply(step: Step): void {
          if ("set" in step) cluster.api.set(step.set);
          else cluster.api.delete(step.drop);
        }
      })),
    { numRuns: 15 },
  );
});
