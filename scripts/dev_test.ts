import assert from "node:assert/strict";
import { agentArguments } from "./dev.ts";

Deno.test("agentArguments() watches everything and listens on loopback only", () => {
  assert.deepEqual(agentArguments([]), [
    "--extra-interfaces",
    "auto",
    "--pod-level",
    "--hubble-address",
    "127.0.0.1",
    "--metrics-address",
    "127.0.0.1",
    "--print",
  ]);
});

Deno.test("agentArguments() lets the user's options replace its own", () => {
  const args = agentArguments(["--extra-interfaces", "lo", "--hubble-address=::1"]);
  assert.deepEqual(args.filter((one) => one === "--extra-interfaces" || one === "auto"), ["--extra-interfaces"]);
  assert(!args.includes("--hubble-address") && args.includes("--hubble-address=::1"));
});
