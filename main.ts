import { runAgent } from "./src/agent/agent.ts";
import { detach } from "./src/agent/detach.ts";
import { parseOptions } from "./src/agent/options.ts";
import { runProgram } from "./src/cli/program.ts";

if (import.meta.main) {
  const code = await runProgram("retina-agent", async ({ signal }) => {
    if (Deno.args[0] === "detach") return detach(Deno.args.slice(1), console.log);
    const options = parseOptions(Deno.args, { env: (name) => Deno.env.get(name), hostname: () => Deno.hostname() });
    await runAgent(options, signal);
  });
  Deno.exit(code);
}
