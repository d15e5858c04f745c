import assert from "node:assert/strict";
import fc from "fast-check";
import { type CpioEntry, writeCpio } from "./cpio.ts";

interface Member {
  readonly name: string;
  readonly mode: string;
  readonly device: string;
  readonly content: string;
}

/** Reads an archive by the format's description, independently of the writer. */
function read(entries: Iterable<CpioEntry>): Member[] {
  const bytes = Uint8Array.from([...writeCpio(entries)].flatMap((piece) => [...piece]));
  const text = (from: number, to: number) => new TextDecoder().decode(bytes.subarray(from, to));
  const members: Member[] = [];
  for (let at = 0;;) {
    assert.equal(at % 4, 0);
    assert.equal(text(at, at + 6), "070701");
    const fields = Array.from(
      { length: 13 },
      (_, index) => parseInt(text(at + 6 + 8 * index, at + 14 + 8 * index), 16),
    );
    const nameEnd = at + 110 + fields[11];
    assert.equal(bytes[nameEnd - 1], 0);
    const name = text(at + 110, nameEnd - 1);
    const start = nameEnd + (-nameEnd & 3);
    const end = start + fields[6];
    at = end + (-end & 3);
    if (name === "TRAILER!!!") {
      assert.equal(at, bytes.length);
      return members;
    }
    members.push({
      name,
      mode: fields[1].toString(8),
      device: `${fields[9]}:${fields[10]}`,
      content: text(start, end),
    });
  }
}

const content = new TextEncoder().encode("hello");

Deno.test("writeCpio() writes every kind of entry", () => {
  assert.deepEqual(
    read([
      { kind: "directory", name: "tmp" },
      { kind: "file", name: "init", content, executable: true },
      { kind: "file", name: "data", content },
      { kind: "link", name: "sh", target: "busybox" },
      { kind: "device", name: "console", major: 5, minor: 1 },
    ]),
    [
      { name: "tmp", mode: "40755", device: "0:0", content: "" },
      { name: "init", mode: "100755", device: "0:0", content: "hello" },
      { name: "data", mode: "100644", device: "0:0", content: "hello" },
      { name: "sh", mode: "120777", device: "0:0", content: "busybox" },
      { name: "console", mode: "20600", device: "5:1", content: "" },
    ],
  );
});

Deno.test("writeCpio() makes the folders of an entry, each once and before it", () => {
  const names = read([
    { kind: "file", name: "a/b/one", content },
    { kind: "directory", name: "a/b" },
    { kind: "file", name: "a/two", content },
  ]).map((member) => member.name);
  assert.deepEqual(names, ["a", "a/b", "a/b/one", "a/two"]);
});

Deno.test("writeCpio() keeps names and contents of any length", () => {
  fc.assert(fc.property(
    fc.uniqueArray(fc.tuple(fc.stringMatching(/^[a-zé]{1,9}$/), fc.string()), { selector: ([name]) => name }),
    (files) => {
      const encoder = new TextEncoder();
      const members = read(
        files.map(([name, text]) => ({ kind: "file", name, content: encoder.encode(text) })),
      );
      assert.deepEqual(members.map((member) => [member.name, member.content]), files);
    },
  ));
});

Deno.test("writeCpio() refuses names that leave the root", () => {
  for (const name of ["", "/etc", "a/../../b"]) {
    assert.throws(() => read([{ kind: "directory", name }]), RangeError);
  }
});
