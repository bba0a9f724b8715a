/** `npm run prove -- AREA`: the long form of an area's suites, with its figures in docs/reports/AREA.md. */
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Area } from './area.ts';
import { AREAS } from './areas.ts';
import { quotedFigures, REPORTS } from './quoted-figures.ts';
import { quoteAnew, reportText, thisOccasion } from './report.ts';
import { runSuites } from './suite-results.ts';

const LIST = AREAS.map(({ name, claim }) => `  ${name.padEnd(12)}${claim}`).join('\n');
const HELP = `npm run prove -- AREA...            runs the long form and writes docs/reports/AREA.md
npm run prove -- --quote AREA...    runs nothing; writes anew what docs/reports/AREA.md quotes from other reports\n\nAreas\n${LIST}\n`;

const QUOTE = '--quote';

const [...names] = process.argv.slice(2);
if (names.includes('--help')) process.stdout.write(HELP);
else if (names[0] === QUOTE) process.exitCode = await prove(names.slice(1), quote);
else process.exitCode = await prove(names, run);

/** 0 when every area passed, 1 when one did not, 2 when the command line is wrong. */
async function prove(wanted: readonly string[], write: (area: Area) => boolean | Promise<boolean>): Promise<number> {
  const unknown = wanted.filter((name) => !AREAS.some((area) => area.name === name));
  if (wanted.length === 0 || unknown.length > 0) {
    const why = wanted.length === 0 ? 'name an area' : `unknown area: ${unknown.join(', ')}`;
    process.stderr.write(`${why}\n\n${HELP}`);
    return 2;
  }
  const failed: string[] = [];
  for (const area of AREAS.filter(({ name }) => wanted.includes(name)))
    if (!(await write(area))) failed.push(area.name);
  if (failed.length > 0) process.stderr.write(`failed: ${failed.join(', ')}\n`);
  return failed.length === 0 ? 0 : 1;
}

/** False when there is no report yet. */
function quote(area: Area): boolean {
  const path = join(REPORTS, `${area.name}.md`);
  if (!existsSync(path)) return false;
  writeFileSync(path, quoteAnew(readFileSync(path, 'utf8'), quotedFigures(area.quotes ?? [])));
  return true;
}

/** Runs one area and writes its report. */
async function run(area: Area): Promise<boolean> {
  const results = await runSuites(area);
  mkdirSync(REPORTS, { recursive: true });
  const path = join(REPORTS, `${area.name}.md`);
  writeFileSync(path, reportText(area, results, { ...thisOccasion(), quoted: quotedFigures(area.quotes ?? []) }));
  process.stdout.write(`${area.name} ${results.passed ? 'passed' : 'FAILED'}: ${path}\n`);
  return results.passed;
}
