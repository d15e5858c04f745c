import assert from "node:assert/strict";
import type { LogRecord } from "@logtape/logtape";
import { formatJson } from "./log.ts";

function record(message: readonly unknown[], properties: Record<string, unknown> = {}): LogRecord {
  return {
    category: ["retina", "agent"],
    level: "info",
    message,
    rawMessage: "",
    timestamp: Date.UTC(2026, 0, 2, 3, 4, 5, 6),
    properties,
  };
}

Deno.test("formatJson() is one parsable line with time, level, logger and message", () => {
  const line = formatJson(record(["Attached to ", "eth0", ""], { ifindex: 2 }));
  assert.ok(line.endsWith("\n") && !line.slice(0, -1).includes("\n"));
  assert.deepEqual(JSON.parse(line), {
    ts: "2026-01-02T03:04:05.006Z",
    level: "info",
    logger: "retina.agent",
    msg: "Attached to eth0",
    ifindex: 2,
  });
});

Deno.test("formatJson() keeps errors, bigints and line breaks inside the line", () => {
  const line = formatJson(
    record(["Failed: ", new Error("two\nlines"), " after ", 3n], { bytes: 2n ** 60n, cause: new Error("why") }),
  );
  const parsed = JSON.parse(line);
  assert.equal(parsed.msg, "Failed: two\nlines after 3");
  assert.equal(parsed.bytes, "1152921504606846976");
  assert.equal(parsed.cause, "why");
  assert.equal(line.split("\n").length, 2);
});

Deno.test("formatJson() never lets a property replace the level or the message", () => {
  const parsed = JSON.parse(formatJson(record(["real"], { msg: "fake", level: "error" })));
  assert.equal(parsed.msg, "real");
  assert.equal(parsed.level, "info");
});
