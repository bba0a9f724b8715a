import { describe, expect, it } from 'vitest';
import { RecentBatches, RecentBudget } from './recent-batches.ts';

const KIB = 1024;

/** Batches of these sizes, one offset each, from 0 on. */
function recentOf(...sizes: readonly number[]): RecentBatches {
  const recent = new RecentBatches(new RecentBudget());
  sizes.forEach((size, index) => recent.push(new Uint8Array(size).fill(index), BigInt(index), BigInt(index + 1)));
  return recent;
}

describe('recent batches', () => {
  it('leave in one message while they are small, as far as the bound goes', () => {
    const recent = recentOf(10, 20, 30, 64 * KIB);
    expect(recent.from(0n, 1000 * KIB)).toMatchObject({ bytes: 60, endOffset: 3n });
    expect(recent.from(1n, 49)).toMatchObject({ bytes: 20, endOffset: 2n });
    expect([...(recent.from(0n, 30)?.content ?? [])]).toEqual([
      ...Array<number>(10).fill(0),
      ...Array<number>(20).fill(1),
    ]);
  });

  it('leave alone and uncopied when they are large, even above the bound', () => {
    const recent = new RecentBatches(new RecentBudget());
    const batch = new Uint8Array(256 * KIB);
    recent.push(batch, 0n, 5n);
    recent.push(batch, 5n, 9n);
    expect(recent.from(0n, 100)).toEqual({ content: batch, bytes: 256 * KIB, endOffset: 5n });
    expect(recent.from(5n, 100)?.content).toBe(batch);
  });

  it('are found from where one begins only, and not below what was dropped', () => {
    const recent = recentOf(10, 10);
    recent.dropBelow(1n);
    expect([recent.from(0n, 100), recent.from(2n, 100)]).toEqual([undefined, undefined]);
    expect(recent.from(1n, 100)?.endOffset).toBe(2n);
  });
});
