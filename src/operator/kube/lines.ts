/**
 * Splits a stream of UTF-8 into lines without their ends; empty ones are left out, and so is a last one without an end:
 * the connection broke in it.
 * @throws RangeError when a line has more than `maxBytes`.
 */
export async function* lines(chunks: AsyncIterable<Uint8Array>, maxBytes: number): AsyncGenerator<string> {
  const decoder = new TextDecoder();
  let rest = "";
  for await (const chunk of chunks) {
    const text = rest + decoder.decode(chunk, { stream: true });
    let from = 0;
    for (let end = text.indexOf("\n"); end >= 0; end = text.indexOf("\n", from)) {
      if (end > from) yield text.slice(from, end);
      from = end + 1;
    }
    rest = text.slice(from);
    if (rest.length > maxBytes) throw new RangeError(`a line of more than ${maxBytes} bytes`);
  }
}
