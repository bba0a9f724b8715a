/** Tables for people: columns as wide as their content, numbers to the right. */

/** Bold headings when `colors`; two spaces between columns; no trailing blanks. */
export function table(headings: readonly string[], rows: readonly (readonly string[])[], colors = false): string {
  const all = [headings, ...rows];
  const widths = headings.map((_, column) => Math.max(...all.map((row) => (row[column] ?? '').length)));
  const numeric = headings.map(
    (_, column) => rows.length > 0 && rows.every((row) => /^(-|[\d.,:]+%?)$/.test(row[column] ?? '')),
  );
  const lines = all.map((row) =>
    widths
      .map((width, column) => {
        const cell = row[column] ?? '';
        return numeric[column] === true ? cell.padStart(width) : cell.padEnd(width);
      })
      .join('  ')
      .trimEnd(),
  );
  const [head = '', ...body] = lines;
  return [colors ? `\u001B[1m${head}\u001B[22m` : head, ...body].join('\n');
}

/** `name  value` lines, aligned. */
export function fields(entries: readonly (readonly [string, string])[]): string {
  const width = Math.max(...entries.map(([name]) => name.length));
  return entries.map(([name, value]) => `${name.padEnd(width)}  ${value}`.trimEnd()).join('\n');
}

/** 1234567 as `1,234,567`. */
export function count(value: number | bigint): string {
  return value.toLocaleString('en-US');
}
