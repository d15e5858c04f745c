import { runProgram } from "./src/cli/program.ts";
import { runOperator } from "./src/operator/operator.ts";
import { parseOptions } from "./src/operator/options.ts";

if (import.meta.main) {
  const code = await runProgram("retina-operator", async ({ signal }) => {
    const options = parseOptions(Deno.args, { env: (name) => Deno.env.get(name), hostname: () => Deno.hostname() });
    await runOperator(options, signal);
  });
  Deno.exit(code);
}
