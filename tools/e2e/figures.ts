/** Figures for the reports of `npm run prove`: printed, and appended to the file that PARTITA_TEST_FIGURES names. */
import { appendFileSync } from 'node:fs';

/** One line of an area's table. Numbers keep two decimals at most. */
export function figure(area: string, name: string, value: number | string): void {
  const shown = typeof value === 'number' ? Math.round(value * 100) / 100 : value;
  console.log(`${area}: ${name}: ${shown}`);
  append({ area, name, value: shown });
}

/** One row of a table of its own: rows with the same head make one. As many cells as the head has. */
export function figureRow(area: string, head: readonly string[], cells: readonly string[]): void {
  console.log(`${area}: ${head.map((name, column) => `${name} ${cells[column] ?? ''}`).join(', ')}`);
  append({ area, head, cells });
}

function append(line: object): void {
  const path = process.env['PARTITA_TEST_FIGURES'];
  if (path !== undefined) appendFileSync(path, `${JSON.stringify(line)}\n`);
}
