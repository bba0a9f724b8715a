import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { figure } from '@partita/tool-e2e/figures.ts';
import { LONG, ROOT } from '@partita/tool-e2e/root.ts';
import { describe, expect, it } from 'vitest';
import type { MutantVerdict } from '../core/mutant-runs.ts';
import { MUTANTS } from './mutants.ts';

describe('a guard of the wiring taken away', () => {
  it('is missed by the seed that is known to need it', async () => {
    const main = join(ROOT, 'tools/sim/main.ts');
    const { stdout } = await promisify(execFile)(process.execPath, [main, 'cluster-mutants'], { maxBuffer: 2 ** 24 });
    const verdicts = JSON.parse(stdout) as readonly MutantVerdict[];
    const survivors = verdicts.filter(({ violation }) => violation === undefined);
    if (LONG) {
      const killed = verdicts.length - survivors.length;
      figure('cluster', 'cluster: guards taken away on purpose and missed', `${killed} of ${MUTANTS.length}`);
    }
    expect(survivors).toEqual([]);
    expect(verdicts.length).toBeGreaterThanOrEqual(5);
  }, 240_000);

  it('is not needed where no seed misses it, for a reason', () => {
    const silent = MUTANTS.filter(({ seed, why }) => (seed === undefined) !== (why !== undefined));
    expect(silent.map(({ name }) => name)).toEqual([]);
  });
});
