import assert from "node:assert/strict";
import { program, testWith } from "../tests/lab/need.ts";
import { buildBpf, BuildError } from "./build_bpf.ts";

/** A folder with one source that includes a header of its own. */
async function sources(): Promise<AsyncDisposable & { path: string }> {
  const path = await Deno.makeTempDir();
  await Deno.writeTextFile(`${path}/value.h`, "#define VALUE 1\n");
  await Deno.writeTextFile(`${path}/baseline.bpf.c`, '#include "value.h"\nint value = VALUE;\n');
  return { path, [Symbol.asyncDispose]: () => Deno.remove(path, { recursive: true }) };
}

async function compiled(directory: string): Promise<boolean[]> {
  const built: boolean[] = [];
  await buildBpf({ directory, onObject: (_path, done) => void built.push(done) });
  return built;
}

testWith([program("clang")], "buildBpf() compiles once, and again when a header changes", async () => {
  await using folder = await sources();
  assert.deepEqual(await compiled(folder.path), [true]);
  assert.deepEqual(await compiled(folder.path), [false]);
  await Deno.utime(`${folder.path}/value.h`, new Date(), new Date(Date.now() + 60_000));
  assert.deepEqual(await compiled(folder.path), [true]);
});

testWith([program("clang")], "buildBpf() passes on what clang says and leaves no object", async () => {
  await using folder = await sources();
  await Deno.writeTextFile(`${folder.path}/value.h`, "#error no value today\n");
  await assert.rejects(compiled(folder.path), (error: Error) => {
    assert.ok(error instanceof BuildError);
    assert.match(error.message, /baseline\.bpf\.c[^]*no value today/);
    return true;
  });
  assert.deepEqual([...Deno.readDirSync(`${folder.path}/build`)], []);
});

Deno.test("buildBpf() names the package of a compiler that is missing", async () => {
  await using folder = await sources();
  await assert.rejects(
    buildBpf({ directory: folder.path, clang: "clang-of-no-version" }),
    /"clang-of-no-version" is not installed.*apt-get install clang/,
  );
});
