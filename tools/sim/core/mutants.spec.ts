import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { figure } from '@partita/tool-e2e/figures.ts';
import { LONG, ROOT } from '@partita/tool-e2e/root.ts';
import { describe, expect, it } from 'vitest';
import { CHANGE_MUTANTS } from './change-mutants.ts';
import type { MutantVerdict } from './mutant-runs.ts';
import { MUTANTS } from './mutants.ts';
import { runChangesSeed, runCoreSeed } from './run-seed.ts';

const SUITES = [
  { name: 'mutants', subject: 'core', mutants: MUTANTS, least: 20, run: runCoreSeed },
  { name: 'change-mutants', subject: 'changes', mutants: CHANGE_MUTANTS, least: 15, run: runChangesSeed },
] as const;

describe('a guard taken away', () => {
  it.each(SUITES)(
    'is missed by the seed that is known to need it: $name',
    async ({ name, subject, mutants, least }) => {
      // A program of its own: a test runner loads modules its own way, where no source can be replaced.
      const main = join(ROOT, 'tools/sim/main.ts');
      const { stdout } = await promisify(execFile)(process.execPath, [main, name], { maxBuffer: 2 ** 24 });
      const verdicts = JSON.parse(stdout) as readonly MutantVerdict[];
      const survivors = verdicts.filter(({ violation }) => violation === undefined);
      if (LONG) {
        const killed = verdicts.length - survivors.length;
        figure('core', `${subject}: guards taken away on purpose and missed`, `${killed} of ${mutants.length}`);
      }
      expect(survivors).toEqual([]);
      expect(verdicts.length).toBeGreaterThanOrEqual(least);
    },
    120_000,
  );

  it('is not needed where a seed passes without it, for a reason', () => {
    const silent = [...MUTANTS, ...CHANGE_MUTANTS].filter(
      ({ seed, why }) => (seed === undefined) !== (why !== undefined),
    );
    expect(silent.map(({ name }) => name)).toEqual([]);
  });

  it('is all that those seeds lack', async () => {
    for (const { run, mutants } of SUITES) {
      const seeds = new Set(mutants.flatMap(({ seed }) => seed ?? []));
      for (const seed of seeds) expect((await run(seed)).violation).toBeUndefined();
    }
  });
});
