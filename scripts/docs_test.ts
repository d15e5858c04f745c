/** What the pages for people say of the repository. */
import assert from "node:assert/strict";

const ROOT = new URL("../", import.meta.url);
const read = (path: string) => Deno.readTextFileSync(new URL(path, ROOT));

Deno.test("CONTRIBUTING.md has a row for every task, and no other", () => {
  const { tasks }: { tasks: Record<string, unknown> } = JSON.parse(read("deno.json"));
  const rows = [...read("CONTRIBUTING.md").matchAll(/^\| `([\w:-]+)` +\|/gm)].map(([, name]) => name);
  assert.deepEqual(rows.toSorted(), Object.keys(tasks).toSorted());
});

Deno.test("README.md links every page of docs/", () => {
  const readme = read("README.md");
  const pages = [...Deno.readDirSync(new URL("docs/", ROOT))].map(({ name }) => `docs/${name}`);
  assert(pages.length > 5);
  assert.deepEqual(pages.filter((page) => page.endsWith(".md") && !readme.includes(`](${page})`)), []);
});
