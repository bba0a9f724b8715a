import { describe, expect, it } from 'vitest';
import { type Outcome, formatSummary } from './summary.ts';

const step = (name: string, ok: boolean): Outcome => ({
  name,
  durationMs: 1234,
  passed: ok ? 1 : 0,
  failed: ok ? 0 : 1,
  skipped: [],
  failures: ok ? [] : ['exit code 1\nmore'],
});

describe('the summary of a check', () => {
  it('counts a step as one and a suite by its tests, in the last line', () => {
    const suite: Outcome = { ...step('unit', true), passed: 20, failed: 2, failures: ['a > b', 'c'] };
    const lines = formatSummary([step('eslint', true), step('knip', false), suite])
      .trimEnd()
      .split('\n');
    expect(lines.at(-1)).toBe('21 passed, 3 failed');
    expect(lines).toContain('  unit    FAILED     1.2 s  20 passed, 2 failed');
    expect(lines).toContain('      exit code 1');
  });

  it('names every skipped test with its reason', () => {
    const skipped = [
      { name: 'x.spec.ts > asks Redis', reason: 'no Redis binary' },
      { name: 'y.spec.ts > later', reason: '' },
    ];
    const text = formatSummary([{ ...step('unit', true), passed: 3, skipped }]);
    expect(text).toContain('3 passed, 0 failed, 2 skipped');
    expect(text).toContain('  x.spec.ts > asks Redis: no Redis binary\n  y.spec.ts > later: no reason given\n');
  });
});
