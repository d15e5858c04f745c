/**
 * Writes the table of values in helm/README.md from helm/values.yaml (names, defaults, comments that begin with `# --`) and
 * helm/values.schema.json (what is accepted).
 *
 *     deno run -A scripts/chart_docs.ts           write it
 *     deno run -A scripts/chart_docs.ts --check   exit 1 when it is not what the two files give
 */
import { parse } from "yaml";
import { run } from "./process.ts";

const CHART = new URL("../helm/", import.meta.url);
const ROOT = new URL("../", import.meta.url).pathname;
const BEGIN = "<!-- values: begin, by `deno task generate:chart-docs` -->";
const END = "<!-- values: end -->";

/** As much of JSON Schema as the chart's uses. */
export interface Schema {
  readonly $ref?: string;
  readonly type?: string | readonly string[];
  readonly enum?: readonly unknown[];
  readonly minimum?: number;
  readonly maximum?: number;
  readonly items?: Schema;
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly definitions?: Readonly<Record<string, Schema>>;
}

/** One value: its path with dots, default as JSON, what it accepts, and what it means. */
export interface Row {
  readonly path: string;
  readonly default: string;
  readonly accepts: string;
  readonly meaning: string;
}

/**
 * The rows of the table, in the order of values.yaml.
 * @throws Error for a value without comment, a comment without value, and a value that the schema does not know.
 */
export function rows(yaml: string, schema: Schema): Row[] {
  const values: unknown = parse(yaml);
  const comments = commentsOf(yaml);
  const found: Row[] = [];
  const walk = (value: unknown, described: Schema | undefined, path: string) => {
    if (described === undefined) throw new Error(`${path} of values.yaml is not in values.schema.json`);
    const target = resolve(described, schema);
    const comment = comments.get(path);
    if (comment !== undefined) {
      comments.delete(path);
      found.push({ path, default: JSON.stringify(value), accepts: accepts(target, schema), meaning: comment });
    } else if (isMap(value) && target.properties !== undefined) {
      for (const [name, inner] of Object.entries(value)) {
        walk(inner, target.properties[name], path === "" ? name : `${path}.${name}`);
      }
    } else throw new Error(`${path} of values.yaml has no comment: write what it is for in a line "# -- …" before it`);
  };
  walk(values, schema, "");
  for (const path of comments.keys()) {
    throw new Error(`The comment of ${path} in values.yaml stands inside another value`);
  }
  return found;
}

/** Comments that begin with `# --`, by the path of the value below them. */
function commentsOf(yaml: string): Map<string, string> {
  const comments = new Map<string, string>();
  const path: { name: string; indent: number }[] = [];
  let comment: string | undefined;
  for (const line of yaml.split("\n")) {
    comment = /^\s*# -- (.*)$/.exec(line)?.[1] ?? comment;
    const [, spaces, name] = /^( *)([A-Za-z][\w.]*):/.exec(line) ?? [];
    if (name === undefined) continue;
    while (path.length > 0 && path[path.length - 1].indent >= spaces.length) path.pop();
    path.push({ name, indent: spaces.length });
    if (comment !== undefined) comments.set(path.map((part) => part.name).join("."), comment);
    comment = undefined;
  }
  return comments;
}

function resolve(one: Schema, root: Schema): Schema {
  if (one.$ref === undefined) return one;
  const target = root.definitions?.[one.$ref.replace("#/definitions/", "")];
  if (target === undefined) throw new Error(`${one.$ref} is not in values.schema.json`);
  return resolve(target, root);
}

function accepts(one: Schema, root: Schema): string {
  const target = resolve(one, root);
  if (target.enum !== undefined) {
    const words = target.enum.map((word) => word === "" ? "empty" : String(word));
    if (words.length <= 8) return words.join(", ");
    return target.enum.every((value) => typeof value === "number")
      ? `a power of two, ${words[0]} to ${words[words.length - 1]}`
      : words.join(", ");
  }
  if (target.type === "integer") return `${target.minimum ?? "…"} to ${target.maximum ?? "…"}`;
  if (target.type === "array") return target.items === undefined ? "list" : `list: ${accepts(target.items, root)}`;
  if (target.type === "boolean") return "true, false";
  return target.type === "object" ? "map" : String(target.type);
}

function isMap(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** The table in Markdown. */
export function table(list: readonly Row[]): string {
  const cell = (text: string) => text.replaceAll("|", "\\|");
  return [
    "| value | default | accepts | meaning |",
    "|---|---|---|---|",
    ...list.map((row) =>
      `| \`${row.path}\` | \`${cell(row.default)}\` | ${cell(row.accepts)} | ${cell(row.meaning)} |`
    ),
  ].join("\n");
}

/**
 * Puts the table between the two marks.
 * @throws Error when the text has no marks.
 */
export function insert(readme: string, values: string): string {
  const begin = readme.indexOf(BEGIN), end = readme.indexOf(END);
  if (begin < 0 || end < begin) throw new Error(`Cannot find the marks of the table: expected ${BEGIN} and ${END}`);
  return `${readme.slice(0, begin + BEGIN.length)}\n\n${values}\n\n${readme.slice(end)}`;
}

async function main(args: readonly string[]): Promise<number> {
  const unknown = args.find((arg) => arg !== "--check");
  if (unknown !== undefined) {
    console.error(`Unknown argument ${unknown}: expected --check or nothing`);
    return 2;
  }
  const read = (name: string) => Deno.readTextFile(new URL(name, CHART));
  const old = await read("README.md");
  const list = rows(await read("values.yaml"), JSON.parse(await read("values.schema.json")));
  const text = insert(old, table(list));
  const { stdout: fresh } = await run(Deno.execPath(), ["fmt", "--quiet", "--ext", "md", "-"], {
    input: text,
    cwd: ROOT,
  });
  if (args.includes("--check")) {
    if (fresh === old) return 0;
    console.error("Stale table of values in helm/README.md: run deno task generate:chart-docs");
    return 1;
  }
  await Deno.writeTextFile(new URL("README.md", CHART), fresh);
  return 0;
}

if (import.meta.main) Deno.exit(await main(Deno.args));
