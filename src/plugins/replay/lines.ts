/** Splits a stream of bytes into lines. */
import { concat } from "../../flow/bytes.ts";

/** A line: its number, from 1, and its text, or why it has none. */
export interface Line {
  readonly number: number;
  readonly text?: string;
  readonly problem?: string;
}

const NEWLINE = 10;

/**
 * Yields the lines of each chunk together, so that the reader can act once a chunk. Empty lines are left out, the last line needs
 * no newline. A line that is longer than `maxBytes` or no UTF-8 has a problem instead of a text.
 */
export async function* splitLines(chunks: AsyncIterable<Uint8Array>, maxBytes: number): AsyncGenerator<Line[]> {
  const decoder = new TextDecoder("utf-8", { fatal: true });
  let number = 0;
  /** The beginning of a line that goes on in the next chunk. */
  let rest: Uint8Array[] = [];
  let restLength = 0;
  const take = (end: Uint8Array): Line | undefined => {
    number++;
    const bytes = restLength === 0 ? end : concat(...rest, end);
    const length = restLength + end.length;
    rest = [];
    restLength = 0;
    if (length > maxBytes) return { number, problem: `${length} bytes long, limit is ${maxBytes}` };
    try {
      const text = decoder.decode(bytes).trim();
      return text === "" ? undefined : { number, text };
    } catch {
      return { number, problem: "no UTF-8" };
    }
  };
  for await (const chunk of chunks) {
    const lines: Line[] = [];
    let from = 0;
    for (let at = chunk.indexOf(NEWLINE); at >= 0; at = chunk.indexOf(NEWLINE, from)) {
      const line = take(chunk.subarray(from, at));
      if (line !== undefined) lines.push(line);
      from = at + 1;
    }
    if (from < chunk.length) {
      restLength += chunk.length - from;
      // Of a line that is too long only the length is remembered.
      if (restLength > maxBytes) rest = [];
      else rest.push(chunk.slice(from));
    }
    if (lines.length > 0) yield lines;
  }
  const last = restLength === 0 ? undefined : take(new Uint8Array());
  if (last !== undefined) yield [last];
}
