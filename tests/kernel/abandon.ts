/** Attaches to every pod by legacy TC, says so, and waits to be killed: what it leaves is what a crashed agent leaves. */
import { Packetparser } from "../../src/plugins/packetparser/packetparser.ts";
import { DEFAULTS, recordingContext } from "./harness.ts";

await new Packetparser({ ...DEFAULTS, podLevel: true, tcAttach: "legacy" }, recordingContext().context).start();
console.log("attached");
