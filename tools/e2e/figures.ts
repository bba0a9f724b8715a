/** Figures for the reports of `npm run prove`: printed, and appended to the file that PARTITA_TEST_FIGURES names. */
import { appendFileSync } from 'node:fs';

/** One line of an area's table. Numbers keep two decimals at most. */
export function figure(area: string, name: string, value: number | string): void {
  const shown = typeof value === 'number' ? Math.round(value * 100) / 100 : value;
  console.log(`${area}: ${name}: ${shown}`);
  const path = process.env['PARTITA_TEST_FIGURES'];
  if (path !== undefined) appendFileSync(path, `${JSON.stringify({ area, name, value: shown })}\n`);
}
