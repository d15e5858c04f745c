import { EnvironmentError, TextRequested, UsageError } from "../errors.ts";
import { aborted, runProgram } from "../program.ts";

/** A program that ends the way its first argument says; the test watches it from outside. */
Deno.exit(
  await runProgram("sample", async ({ signal }) => {
    switch (Deno.args[0]) {
      case "usage":
        throw new UsageError("Cannot use --x");
      case "environment":
        throw new EnvironmentError("Cannot listen", { cause: new Error("port taken") });
      case "help":
        throw new TextRequested("usage: sample");
      case "reject":
        Promise.reject(new Error("nobody caught me"));
        break;
      case "hang":
        console.log("ready");
        await new Promise(() => setTimeout(() => {}, 60_000));
        break;
      default:
        console.log("ready");
    }
    await aborted(signal);
    if (Deno.args[0] === "slow") await new Promise((resolve) => setTimeout(resolve, 500));
    console.log("undone");
  }),
);
