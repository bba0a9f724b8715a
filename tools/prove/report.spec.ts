import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { ROOT } from '@partita/tool-check/run-command.ts';
import { check } from 'prettier';
import { describe, expect, it } from 'vitest';
import { AREAS } from './areas.ts';
import { reportText } from './report.ts';
import { specFile } from './suite-results.ts';

const area = { name: 'kill', claim: 'Nothing is lost.', suites: ['kill'], minutesMax: 1 };
const occasion = { date: new Date(0), machine: '2 × processor', node: 'v24.0.0' };
const results = {
  ...{ passed: true, seconds: 12.3, failure: '' },
  tests: [{ name: 'a | b × c', status: 'passed' }],
  figures: [{ name: 'records', value: 4041 }],
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
