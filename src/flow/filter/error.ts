/** Characters of a message that are kept: a value can be megabytes long, and clients refuse long headers. */
const MESSAGE_LENGTH = 4096;

/** A filter that cannot be compiled. The message is Hubble's own, so that scripts and people find it again. */
export class FilterError extends Error {
  override readonly name = "FilterError";

  constructor(message: string) {
    super(message.length > MESSAGE_LENGTH ? `${message.slice(0, MESSAGE_LENGTH)}...` : message);
  }
}

const ESCAPES: Record<string, string> = {
  "\x07": "\\a",
  "\b": "\\b",
  "\f": "\\f",
  "\n": "\\n",
  "\r": "\\r",
  "\t": "\\t",
  "\v": "\\v",
  "\\": "\\\\",
};

/** What Go does not print as it is: all but letters, marks, numbers, punctuation, symbols and the ASCII space. */
const UNPRINTABLE = /["'\\]|[^\p{L}\p{M}\p{N}\p{P}\p{S} ]/gu;

function escape(character: string, delimiter: string): string {
  if (character === delimiter) return `\\${character}`;
  if (character === '"' || character === "'") return character;
  if (character in ESCAPES) return ESCAPES[character];
  const code = character.codePointAt(0)!;
  if (code < 0x80) return `\\x${code.toString(16).padStart(2, "0")}`;
  return code > 0xffff ? `\\U${code.toString(16).padStart(8, "0")}` : `\\u${code.toString(16).padStart(4, "0")}`;
}

/** Text in double quotes as Go's `%q` writes it: Hubble's messages quote values this way. */
export function quote(text: string): string {
  return `"${text.replace(UNPRINTABLE, (character) => escape(character, '"'))}"`;
}

/** One character in single quotes, as Go's `%q` writes a rune. */
export function quoteCharacter(character: string): string {
  return `'${character.replace(UNPRINTABLE, (one) => escape(one, "'"))}'`;
}

/** Runs one part of a filter's compilation and puts Hubble's words for that part before the message of a failure. */
export function within<T>(words: string, compile: () => T): T {
  try {
    return compile();
  } catch (error) {
    if (error instanceof FilterError) throw new FilterError(`${words}: ${error.message}`);
    throw error;
  }
}
