import { setImmediate as nextTurn } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { inParallel } from './in-parallel.ts';

describe('work in parallel', () => {
  it('is done once for each item, never more than allowed at once', async () => {
    const done: number[] = [];
    let running = 0;
    let most = 0;
    await inParallel(new Set([1, 2, 3, 4, 5, 6, 7]), 3, async (item) => {
      running += 1;
      most = Math.max(most, running);
      await nextTurn();
      running -= 1;
      done.push(item);
    });
    expect(done.toSorted()).toEqual([1, 2, 3, 4, 5, 6, 7]);
    expect(most).toBe(3);
  });

  it('begins nothing more once something has failed', async () => {
    const begun: number[] = [];
    const work = inParallel([1, 2, 3, 4, 5], 2, async (item) => {
      begun.push(item);
      await nextTurn();
      if (item === 1) throw new Error('no');
    });
    await expect(work).rejects.toThrow('no');
    await nextTurn();
    await nextTurn();
    expect(begun).toEqual([1, 2]);
  });
});
