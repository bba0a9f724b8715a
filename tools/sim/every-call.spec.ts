import { figure } from '@partita/tool-e2e/figures.ts';
import { LONG } from '@partita/tool-e2e/root.ts';
import { describe, expect, it } from 'vitest';
import { firstCallOf, runWithFaultAt } from './every-call.ts';

/** Each with other chances of what a failed or interrupted call leaves behind. */
const SEED_COUNT = LONG ? 10 : 1;
const MINUTES_MAX = 5;
const KINDS = ['open', 'create', 'read', 'writev', 'datasync', 'rename', 'unlink', 'syncDirectory'];
const FAULTS = ['EIO', 'ENOSPC', 'power'] as const;
const DELETIONS = ['cut', 'trim', 'compaction'] as const;

describe('whatever call it is that', () => {
  it.each(DELETIONS.flatMap((deletion) => FAULTS.map((fault) => ({ deletion, fault }))))(
    'fails by $fault in a life with a $deletion, nothing acknowledged is lost and the log goes on',
    async ({ deletion, fault }) => {
      const kinds = new Map<string, number>();
      let callCount = 0;
      for (let seed = 1; seed <= SEED_COUNT; seed += 1) {
        const first = deletion === 'cut' ? 1 : await firstCallOf(deletion, seed);
        for (let call = first; ; call += 1) {
          const met = await runWithFaultAt(call, fault, seed, deletion).catch((error: unknown) => {
            throw new Error(`${deletion}, ${fault} at call ${call}, seed ${seed}: ${String(error)}`, { cause: error });
          });
          if (met === undefined) break;
          kinds.set(met.kind, (kinds.get(met.kind) ?? 0) + 1);
          callCount += 1;
        }
      }
      if (LONG) figure('disk', `every call, ${deletion}: runs with ${fault} at one call`, callCount);
      // Only calls of every kind make it exhaustive.
      expect([...kinds.keys()]).toEqual(expect.arrayContaining(deletion === 'cut' ? [...KINDS, 'truncate'] : KINDS));
    },
    MINUTES_MAX * 60_000,
  );
});
