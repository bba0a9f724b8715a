/** The text, or its beginning and `…` when it has more than so many characters. */
export function cutLine(text: string, charsMax: number): string {
  return text.length <= charsMax ? text : `${text.slice(0, charsMax - 1)}…`;
}
