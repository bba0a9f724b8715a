/** docs/reports/<area>.md: the claim, where and when it was tried, the figures, the tests. */
import { cpus, release, totalmem, type } from 'node:os';
import type { Area } from './area.ts';
import type { QuotedFigure } from './quoted-figures.ts';
import type { FigureRow, SuiteResults } from './suite-results.ts';

const GIB = 1024 ** 3;

export interface Occasion {
  readonly date: Date;
  readonly machine: string;
  readonly node: string;
  /** Default: none. */
  readonly quoted?: readonly QuotedFigure[];
}

/** Here and now. */
export function thisOccasion(): Occasion {
  const cores = cpus();
  const memory = `${(totalmem() / GIB).toFixed(0)} GiB`;
  const machine = `${cores.length} × ${cores[0]?.model.trim() ?? 'unknown processor'}, ${memory}, ${type()} ${release()}`;
  return { date: new Date(), machine, node: process.version };
}

export function reportText(area: Area, results: SuiteResults, occasion: Occasion): string {
  const verdict = results.passed ? 'passed' : `FAILED${results.failure === '' ? '' : `: ${results.failure}`}`;
  const facts = [
    ['Result', verdict],
    ['Date', occasion.date.toISOString()],
    ['Machine', occasion.machine],
    ['Node', occasion.node],
    ['Command', `\`npm run prove -- ${area.name}\``],
    ['Duration', `${results.seconds.toFixed(0)} s`],
  ];
  const tests = results.tests.filter(({ status }) => status !== 'skipped' || area.tests === undefined);
  return (
    [
      `# ${area.name}`,
      area.claim,
      table(['', ''], facts),
      '## Figures',
      ...(area.notes ?? []),
      ...figureTables(results),
      ...quotedSection(occasion.quoted ?? []),
      TESTS_HEADING,
      tests.length === 0
        ? 'None ran.'
        : table(
            ['test', 'result'],
            tests.map(({ name, status }) => [name, status]),
          ),
      '',
    ]
      .join('\n\n')
      .trimEnd() + '\n'
  );
}

/** Rows first: they are what a report that has them is about. */
function figureTables({ figures, rows }: SuiteResults): string[] {
  const byHead = new Map<string, FigureRow[]>();
  for (const row of rows) byHead.set(row.head.join('|'), [...(byHead.get(row.head.join('|')) ?? []), row]);
  const tables = [...byHead.values()].map((same) =>
    table(
      same[0]?.head ?? [],
      same.map(({ cells }) => cells),
    ),
  );
  if (figures.length > 0)
    tables.push(
      table(
        ['figure', 'value'],
        figures.map(({ name, value }) => [name, String(value)]),
      ),
    );
  return tables.length === 0 ? ['None.'] : tables;
}

const QUOTED_HEADING = '## From other reports';
const TESTS_HEADING = '## Tests';

function quotedSection(quoted: readonly QuotedFigure[]): string[] {
  if (quoted.length === 0) return [];
  const rows = quoted.map(({ area, day, name, value }) => [`[${area}](${area}.md), ${day}`, name, value]);
  return [QUOTED_HEADING, table(['report', 'figure', 'value'], rows)];
}

/** A report with what it quotes written anew: those it quotes may be younger. Everything else stays. */
export function quoteAnew(report: string, quoted: readonly QuotedFigure[]): string {
  const tests = report.lastIndexOf(TESTS_HEADING);
  const old = report.indexOf(QUOTED_HEADING);
  const own = report.slice(0, old < 0 ? tests : old).trimEnd();
  return [own, ...quotedSection(quoted), report.slice(tests)].join('\n\n');
}

/** Padded as prettier pads it, so that a report passes the format check as it is written. */
function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const cells = [head, ...rows].map((row) => row.map((cell) => cell.replaceAll('|', '\\|')));
  const widths = head.map((_, column) => Math.max(3, ...cells.map((row) => (row[column] ?? '').length)));
  const line = (row: readonly string[]): string =>
    `| ${row.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join(' | ')} |`;
  const [first = [], ...rest] = cells;
  return [line(first), line(widths.map((width) => '-'.repeat(width))), ...rest.map(line)].join('\n');
}
