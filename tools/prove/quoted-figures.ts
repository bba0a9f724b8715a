/** Figures as the reports of other areas have them. */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { ROOT } from '@partita/tool-check/run-command.ts';
import type { Quote } from './area.ts';

export const REPORTS = join(ROOT, 'docs/reports');

export interface QuotedFigure {
  readonly area: string;
  /** Day of the report. */
  readonly day: string;
  readonly name: string;
  readonly value: string;
}

/** Of those reports that are there, in the order of the quotes. */
export function quotedFigures(quotes: readonly Quote[], folder = REPORTS): QuotedFigure[] {
  return quotes.flatMap(({ area, figures }) => {
    const path = join(folder, `${area}.md`);
    return existsSync(path) ? figuresOf(area, readFileSync(path, 'utf8'), figures) : [];
  });
}

function figuresOf(area: string, report: string, wanted: RegExp): QuotedFigure[] {
  const rows = report.split('\n').flatMap((line) => {
    const [, name, value, ...more] = line.split(/(?<!\\)\|/).map((cell) => cell.trim().replaceAll('\\|', '|'));
    return name === undefined || value === undefined || more.length !== 1 ? [] : [[name, value] as const];
  });
  const day = rows.find(([name]) => name === 'Date')?.[1].slice(0, 10) ?? '';
  const from = rows.findIndex(([name]) => name === 'figure');
  const to = rows.findIndex(([name]) => name === 'test');
  const told = rows.slice(from + 1, to < 0 ? undefined : to);
  return told
    .filter(([name]) => !/^-+$/.test(name) && wanted.test(name))
    .map(([name, value]) => ({ area, day, name, value }));
}
