import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ROOT } from '@partita/tool-check/run-command.ts';
import { check } from 'prettier';
import { describe, expect, it } from 'vitest';
import { AREAS } from './areas.ts';
import { quotedFigures } from './quoted-figures.ts';
import { quoteAnew, reportText } from './report.ts';
import { specFile } from './suite-results.ts';

const area = { name: 'kill', claim: 'Nothing is lost.', suites: ['kill'], minutesMax: 1 };
const occasion = { date: new Date(0), machine: '2 × processor', node: 'v24.0.0' };
const results = {
  ...{ passed: true, seconds: 12.3, failure: '' },
  tests: [{ name: 'a | b × c', status: 'passed' }],
  figures: [{ name: 'records', value: 4041 }],
  rows: [],
};

describe('a report', () => {
  it('tells claim, result, occasion, command, figures and tests', async () => {
    const text = reportText(area, results, occasion);
    const parts = [
      '# kill',
      'Nothing is lost.',
      'passed',
      '1970-01-01',
      '2 × processor',
      'v24.0.0',
      'npm run prove -- kill',
      '4041',
    ];
    for (const part of parts) expect(text).toContain(part);
    expect(await check(text, { parser: 'markdown', printWidth: 120 })).toBe(true);
  });

  it('has a table for rows of one head, notes before it, and what other reports say after it', async () => {
    const head = ['fault', 'acked', 'lost'];
    const rows = [
      { head, cells: ['leader-killed', '100', '0'] },
      { head: ['other'], cells: ['x'] },
      { head, cells: ['leader|deaf', '90', '0'] },
    ];
    const quoted = [{ area: 'core', day: '1970-01-01', name: 'seeds', value: '20000' }];
    const text = reportText({ ...area, notes: ['Meant so.'] }, { ...results, rows }, { ...occasion, quoted });
    expect(text).toContain('| leader-killed | 100   | 0    |\n| leader\\|deaf  | 90    | 0    |');
    expect(text).toContain('| [core](core.md), 1970-01-01 | seeds  | 20000 |');
    expect(text.indexOf('Meant so.')).toBeLessThan(text.indexOf('leader-killed'));
    expect(await check(text, { parser: 'markdown', printWidth: 120 })).toBe(true);
  });

  it('quotes the figures of another as they are written there', () => {
    const folder = mkdtempSync(join(tmpdir(), 'partita-reports-'));
    const figures = [
      { name: 'seeds', value: 20_000 },
      { name: 'mutants killed | all', value: '25 / 25' },
      { name: 'records', value: 1 },
    ];
    writeFileSync(join(folder, 'kill.md'), reportText(area, { ...results, figures }, occasion));
    const quotes = [
      { area: 'kill', figures: /seeds|mutants|-/ },
      { area: 'missing', figures: /./ },
    ];
    expect(quotedFigures(quotes, folder)).toEqual([
      { area: 'kill', day: '1970-01-01', name: 'seeds', value: '20000' },
      { area: 'kill', day: '1970-01-01', name: 'mutants killed | all', value: '25 / 25' },
    ]);
    rmSync(folder, { recursive: true });
  });

  it('can have what it quotes written anew, and nothing else', () => {
    const [old, young] = ['20000', '100000'].map((value) => [
      { area: 'core', day: '1970-01-01', name: 'seeds', value },
    ]);
    const wanted = reportText(area, results, { ...occasion, quoted: young ?? [] });
    expect(quoteAnew(reportText(area, results, { ...occasion, quoted: old ?? [] }), young ?? [])).toBe(wanted);
    expect(quoteAnew(reportText(area, results, occasion), young ?? [])).toBe(wanted);
  });

  it('says why a run failed', () => {
    expect(reportText(area, { ...results, passed: false, failure: 'exit code 1' }, occasion)).toContain(
      'FAILED: exit code 1',
    );
  });
});

describe('the areas', () => {
  it('have names of their own', () => {
    expect(new Set(AREAS.map(({ name }) => name)).size).toBe(AREAS.length);
  });

  it('name spec files that exist, in tools/e2e or anywhere', () => {
    expect(specFile('kill')).toBe('tools/e2e/kill.spec.ts');
    expect(specFile('tools/sim/log.spec.ts')).toBe('tools/sim/log.spec.ts');
    const files = AREAS.flatMap(({ suites }) => suites.map(specFile));
    expect(files.filter((file) => !existsSync(join(ROOT, file)))).toEqual([]);
  });
});
