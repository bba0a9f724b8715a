/** Tables of figures as Markdown. */
import type { RowFigures, Side } from './rounds.ts';

/** The first column to the left, the others to the right. */
export function markdownTable(header: readonly string[], rows: readonly (readonly string[])[]): string {
  const rule = header.map((_, column) => (column === 0 ? '---' : '---:'));
  return [header, rule, ...rows].map((row) => `| ${row.join(' | ')} |\n`).join('');
}

/** MB/s: millions of bytes, not MiB. */
export function megabytes(side: Side): string {
  return (side.bytesPerSecond / 1e6).toFixed(1);
}

/** A whole number with separators. */
export function count(value: number): string {
  return Math.round(value).toLocaleString('en-US');
}

/** The median, and how far the rounds lay apart. */
export function ratioText({ ratio }: RowFigures): string {
  return `**${ratio.median.toFixed(2)}** (${ratio.lowest.toFixed(2)} to ${ratio.highest.toFixed(2)})`;
}
