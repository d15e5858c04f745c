/** Go's unicode.IsSpace, which is not JavaScript's `\s`: U+0085 is in it, U+FEFF is not. */
const SPACE = /^[\t-\r \u0085\u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]$/;

/** Whether a character is white space to Go, and so to Hubble. */
export function isSpace(character: string): boolean {
  return SPACE.test(character);
}

/** Cuts white space, as Go knows it, off both ends. */
export function trimSpace(text: string): string {
  let from = 0, to = text.length;
  while (from < to && isSpace(text[from])) from++;
  while (from < to && isSpace(text[to - 1])) to--;
  return text.slice(from, to);
}

/** Lower case as Go makes it: of each character for itself, and one for one. */
export function toLower(text: string): string {
  return Array.from(text, (character) => character === "İ" ? "i" : character.toLowerCase()).join("");
}
