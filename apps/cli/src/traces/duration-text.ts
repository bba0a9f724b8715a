/** Times and names as the command line shows them. */

/** `1.23 s`, `12.3 ms`, `840 µs`. */
export function nanosText(nanos: number): string {
  if (nanos >= 1e9) return `${(nanos / 1e9).toFixed(2)} s`;
  if (nanos >= 1e6) return `${(nanos / 1e6).toFixed(nanos >= 1e8 ? 0 : 1)} ms`;
  return `${Math.round(nanos / 1e3)} µs`;
}

/** Without control characters: names come from whoever exports spans. */
export function printable(text: string): string {
  return text.replace(/\p{C}/gu, ' ');
}
