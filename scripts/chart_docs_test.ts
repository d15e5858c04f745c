import assert from "node:assert/strict";
import { insert, rows, type Schema, table } from "./chart_docs.ts";

const SCHEMA: Schema = {
  properties: {
    size: { $ref: "#/definitions/size" },
    inner: {
      type: "object",
      properties: { word: { enum: ["", "a", "b"] }, names: { type: "array", items: { type: "string" } } },
    },
    free: { type: "object" },
    on: { type: "boolean" },
  },
  definitions: { size: { type: "integer", minimum: 1, maximum: 9 } },
};

const YAML = `# A word about the file
# -- How large
size: 3
inner:
  # -- Which | one
  word: a
  # -- Names
  names: [x]
# -- Passed on
free:
  deep:
    deeper: 1
# -- Whether
on: false
`;

Deno.test("rows() has every value with its default, what it accepts and what it means", () => {
  assert.deepEqual(rows(YAML, SCHEMA), [
    { path: "size", default: "3", accepts: "1 to 9", meaning: "How large" },
    { path: "inner.word", default: '"a"', accepts: "empty, a, b", meaning: "Which | one" },
    { path: "inner.names", default: '["x"]', accepts: "list: string", meaning: "Names" },
    { path: "free", default: '{"deep":{"deeper":1}}', accepts: "map", meaning: "Passed on" },
    { path: "on", default: "false", accepts: "true, false", meaning: "Whether" },
  ]);
});

Deno.test("rows() names a value that has no comment, or that the schema does not know", () => {
  assert.throws(
    () => rows(YAML.replace("  # -- Names\n", ""), SCHEMA),
    /^Error: inner\.names of values\.yaml has no comment/,
  );
  assert.throws(
    () => rows(`${YAML}# -- More\nmore: 1\n`, SCHEMA),
    /^Error: more of values\.yaml is not in values\.schema/,
  );
  assert.throws(
    () => rows(YAML.replace("  deep:", "  # -- Lost\n  deep:"), SCHEMA),
    /comment of free\.deep .* inside another/,
  );
});

Deno.test("rows() writes long lists of powers of two in short", () => {
  const powers = Array.from({ length: 12 }, (_, index) => 2 ** index);
  const [row] = rows("# -- P\np: 4\n", { properties: { p: { enum: powers } } });
  assert.equal(row.accepts, "a power of two, 1 to 2048");
});

Deno.test("table() and insert() put rows between the marks and keep the rest", () => {
  const [, word] = rows(YAML, SCHEMA);
  const text = table([word]);
  assert.equal(text.split("\n")[2], '| `inner.word` | `"a"` | empty, a, b | Which \\| one |');
  const marks = ["<!-- values: begin, by `deno task generate:chart-docs` -->", "<!-- values: end -->"];
  const readme = `# T\n${marks[0]}\nold\n${marks[1]}\nrest\n`;
  assert.equal(insert(readme, text), `# T\n${marks[0]}\n\n${text}\n\n${marks[1]}\nrest\n`);
  assert.throws(() => insert("# T\n", text), /Cannot find the marks/);
});
