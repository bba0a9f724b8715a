import type { TopicPartition } from '@partita/domain';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { assignSticky as sticky } from './sticky.ts';
import type { Candidate } from './assignor.ts';

function partitionsOf(counts: Readonly<Record<string, number>>) {
  return Object.entries(counts).flatMap(([topicId, count]) =>
    Array.from({ length: count }, (_, partition) => ({ topicId, partition })),
  );
}

function members(count: number, topicIds: readonly string[], capacity = 1): Candidate[] {
  return Array.from({ length: count }, (_, index) => ({
    memberId: `m${index}`,
    topicIds: new Set(topicIds),
    capacity,
    rack: '',
  }));
}

function assignSticky(
  candidates: readonly Candidate[],
  partitions: readonly TopicPartition[],
  current: ReadonlyMap<string, string>,
): ReadonlyMap<string, string> {
  return sticky({ candidates, partitions, current, racksOf: () => [] });
}

function loads(assignment: ReadonlyMap<string, string>, candidates: readonly Candidate[]): number[] {
  return candidates.map(({ memberId }) => [...assignment.values()].filter((holder) => holder === memberId).length);
}

const TOPICS = ['a', 'b', 'c'];

describe('the sticky assignor', () => {
  it('gives every wanted partition to one member, balanced within one, whatever they held', () => {
    const held = fc.dictionary(
      fc.constantFrom(...partitionsOf({ a: 9, b: 5 }).map((p) => `${p.topicId}/${p.partition}`)),
      fc.constantFrom('m0', 'm1', 'm2', 'gone'),
    );
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 6 }), held, (count, current) => {
        const candidates = members(count, ['a', 'b']);
        const partitions = partitionsOf({ a: 9, b: 5 });
        const assignment = assignSticky(candidates, partitions, new Map(Object.entries(current)));
        expect(assignment.size).toBe(partitions.length);
        const counts = loads(assignment, candidates);
        expect(Math.max(...counts) - Math.min(...counts)).toBeLessThanOrEqual(1);
      }),
    );
  });

  it('moves as few partitions as balance needs', () => {
    const load = fc.array(fc.nat(7), { minLength: 1, maxLength: 6 });
    fc.assert(
      fc.property(load, (before) => {
        const total = before.reduce((sum, count) => sum + count, 0);
        const partitions = partitionsOf({ a: total });
        const holders = before.flatMap((count, index) => Array.from({ length: count }, () => `m${index}`));
        const current = new Map(holders.map((holder, partition) => [`a/${partition}`, holder]));
        const assignment = assignSticky(members(before.length, ['a']), partitions, current);
        const moved = [...assignment].filter(([key, holder]) => current.get(key) !== holder).length;
        const low = Math.floor(total / before.length);
        const high = total % before.length;
        const fullest = [...before].sort((x, y) => y - x);
        const needed = fullest.reduce(
          (sum, count, index) => sum + Math.max(0, count - low - (index < high ? 1 : 0)),
          0,
        );
        expect(moved).toBe(needed);
      }),
    );
  });

  it('is stable: what it gives is what it keeps, in whatever order members are told', () => {
    const wants = fc.array(fc.subarray(TOPICS, { minLength: 1 }), { minLength: 1, maxLength: 5 });
    fc.assert(
      fc.property(wants, fc.dictionary(fc.constantFrom('a', 'b', 'c'), fc.nat(6)), (topics, counts) => {
        const candidates = topics.map((wanted, index) => ({
          memberId: `m${index}`,
          topicIds: new Set(wanted),
          capacity: 1 + (index % 3),
          rack: '',
        }));
        const partitions = partitionsOf(counts);
        const first = assignSticky(candidates, partitions, new Map());
        expect(assignSticky([...candidates].reverse(), partitions, first)).toEqual(first);
        for (const [key, holder] of first) {
          expect(candidates.find(({ memberId }) => memberId === holder)?.topicIds.has(key.split('/')[0] ?? '')).toBe(
            true,
          );
        }
      }),
    );
  });

  it('balances along chains when members want different topics', () => {
    const candidates = [
      { memberId: 'm0', topicIds: new Set(['a']), capacity: 1, rack: '' },
      { memberId: 'm1', topicIds: new Set(['a', 'b']), capacity: 1, rack: '' },
      { memberId: 'm2', topicIds: new Set(['b']), capacity: 1, rack: '' },
    ];
    const current = new Map([...Array(6).keys()].map((p) => [`a/${p}`, 'm0']));
    for (let p = 0; p < 3; p++) current.set(`b/${p}`, 'm1');
    expect(loads(assignSticky(candidates, partitionsOf({ a: 6, b: 3 }), current), candidates)).toEqual([3, 3, 3]);
  });

  it('gives a member of twice the capacity twice the share', () => {
    const candidates = [...members(2, ['a']), { memberId: 'm9', topicIds: new Set(['a']), capacity: 2, rack: '' }];
    expect(loads(assignSticky(candidates, partitionsOf({ a: 12 }), new Map()), candidates)).toEqual([3, 3, 6]);
  });
});
