import { figure } from '@partita/tool-e2e/figures.ts';
import { LONG } from '@partita/tool-e2e/root.ts';
import { afterAll, afterEach, describe, expect, it, vi } from 'vitest';
import { runLogSeed } from './log-run.ts';
import { MUTANTS } from './mutants.ts';
import type { Mutant } from './mutants.ts';

/** Checks of the batch format that a test may switch off. */
const skips = vi.hoisted(() => ({ records: false, header: false }));

vi.mock('@partita/batch', async (importOriginal) => {
  const original = await importOriginal<typeof import('@partita/batch')>();
  return {
    ...original,
    verifyRecordsCrc: (bytes: Uint8Array, at: number) => skips.records || original.verifyRecordsCrc(bytes, at),
    verifyHeaderCrc: (bytes: Uint8Array, at: number, seed: number) =>
      skips.header || original.verifyHeaderCrc(bytes, at, seed),
  };
});

/** Seeds within which each must be found: several times what the worst takes. */
const SEEDS_MAX = LONG ? 4000 : 500;
const MINUTES_MAX = 5;

let killed = 0;
afterAll(() => {
  if (LONG) figure('disk', 'bugs put in on purpose and found', `${killed} of ${MUTANTS.length + 2}`);
});
afterEach(() => {
  skips.records = false;
  skips.header = false;
});

/** The first seed that finds it, and how. */
async function hunt(mutant?: Mutant): Promise<string> {
  for (let seed = 1; seed <= SEEDS_MAX; seed += 1) {
    const { violation } = await runLogSeed(seed, mutant === undefined ? {} : { mutant });
    if (violation === undefined) continue;
    killed += 1;
    return `${violation} (seed ${seed})`;
  }
  return 'not found';
}

describe('the simulation finds', () => {
  it.each(MUTANTS.filter(({ isRare }) => LONG || isRare !== true))(
    '$name',
    async (mutant) => {
      const found = await hunt(mutant);
      console.log(`${mutant.name}: ${found}`);
      expect(found).not.toBe('not found');
    },
    MINUTES_MAX * 60_000,
  );

  it.each(LONG ? (['records', 'header'] as const) : (['records'] as const))(
    'that the checksum of the %s is not verified',
    async (part) => {
      skips[part] = true;
      const found = await hunt();
      console.log(`checksum of the ${part}: ${found}`);
      expect(found).not.toBe('not found');
    },
    MINUTES_MAX * 60_000,
  );
});
