import { partitionKey } from '@partita/domain';
import type { TopicPartition } from '@partita/domain';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Assignor, AssignorInput, Candidate } from './assignor.ts';
import { assignRange } from './range.ts';
import { assignSticky } from './sticky.ts';
import { assignUniform } from './uniform.ts';

const ASSIGNORS: readonly (readonly [string, Assignor])[] = [
  ['sticky', assignSticky],
  ['range', assignRange],
  ['uniform', assignUniform],
];

const TOPICS = ['a', 'b', 'c', 'd'];

function placesOf(counts: Readonly<Record<string, number>>): TopicPartition[] {
  return TOPICS.flatMap((topicId) =>
    Array.from({ length: counts[topicId] ?? 0 }, (_, partition) => ({ topicId, partition })),
  );
}

function member(number: number, topics: readonly string[], capacity = 1, rack = ''): Candidate {
  return { memberId: `m${number}`, topicIds: new Set(topics), capacity, rack };
}

/** A rack for each partition, so that each of two racks has half of a topic. */
const halves = ({ partition }: TopicPartition): string[] => [`rack-${partition % 2}`];

const counts = fc.dictionary(fc.constantFrom(...TOPICS), fc.nat(9));
const wants = fc.array(fc.tuple(fc.subarray(TOPICS), fc.integer({ min: 1, max: 4 }), fc.nat(2)), { maxLength: 7 });
const held = fc.array(fc.nat(8), { maxLength: 36 });

/** Any members, any partitions, held by anyone: members that are gone too. */
const input: fc.Arbitrary<AssignorInput> = fc.tuple(wants, counts, held).map(([members, partitionCounts, holders]) => {
  const partitions = placesOf(partitionCounts);
  const current = new Map<string, string>();
  holders.forEach((holder, index) => {
    const partition = partitions[index];
    if (partition !== undefined) current.set(partitionKey(partition), `m${holder}`);
  });
  const candidates = members.map(([topics, capacity, rack], index) => member(index, topics, capacity, `rack-${rack}`));
  return { candidates, partitions, current, racksOf: halves };
});

/** Members alike that want everything. */
const even = fc.tuple(fc.integer({ min: 1, max: 7 }), counts, held).map(([memberCount, partitionCounts, holders]) => {
  const partitions = placesOf(partitionCounts);
  const candidates = Array.from({ length: memberCount }, (_, index) => member(index, TOPICS, 1, `rack-${index % 2}`));
  const current = new Map<string, string>();
  holders.forEach((holder, index) => {
    const partition = partitions[index];
    if (partition !== undefined) current.set(partitionKey(partition), `m${holder}`);
  });
  return { candidates, partitions, current, racksOf: halves };
});

function loads({ candidates }: AssignorInput, holders: ReadonlyMap<string, string>, topicId = ''): number[] {
  return candidates.map(
    ({ memberId }) =>
      [...holders].filter(([key, holder]) => holder === memberId && key.startsWith(topicId === '' ? '' : `${topicId}/`))
        .length,
  );
}

function spread(all: readonly number[]): number {
  return all.length === 0 ? 0 : Math.max(...all) - Math.min(...all);
}

function movedBetween(before: ReadonlyMap<string, string>, after: ReadonlyMap<string, string>): number {
  return [...after].filter(([key, holder]) => before.has(key) && before.get(key) !== holder).length;
}

describe.each(ASSIGNORS)('the assignor %s', (_, assign) => {
  it('gives every partition that is wanted to one member that wants it, and nothing else to anybody', () => {
    fc.assert(
      fc.property(input, (asked) => {
        const holders = assign(asked);
        const wanted = asked.partitions.filter(({ topicId }) =>
          asked.candidates.some(({ topicIds }) => topicIds.has(topicId)),
        );
        expect([...holders.keys()].sort()).toEqual(wanted.map(partitionKey).sort());
        for (const partition of wanted) {
          const holder = asked.candidates.find(({ memberId }) => memberId === holders.get(partitionKey(partition)));
          expect(holder?.topicIds.has(partition.topicId)).toBe(true);
        }
      }),
    );
  });

  it('is the same wherever it is computed, and moves nothing when nothing has changed', () => {
    fc.assert(
      fc.property(input, (asked) => {
        const holders = assign(asked);
        expect(assign({ ...asked, candidates: [...asked.candidates].reverse() })).toEqual(holders);
        expect(assign({ ...asked, current: holders })).toEqual(holders);
      }),
      { numRuns: 500 },
    );
  });

  it('spreads every topic within one over members alike, or the whole', () => {
    fc.assert(
      fc.property(even, (asked) => {
        const holders = assign(asked);
        expect(holders.size).toBe(asked.partitions.length);
        if (assign !== assignRange) expect(spread(loads(asked, holders))).toBeLessThanOrEqual(1);
        if (assign === assignSticky) return;
        for (const topicId of TOPICS) expect(spread(loads(asked, holders, topicId))).toBeLessThanOrEqual(1);
      }),
    );
  });

  it('gives by capacity', () => {
    const candidates = [member(0, ['a']), member(1, ['a']), member(2, ['a'], 2)];
    const asked = { candidates, partitions: placesOf({ a: 12 }), current: new Map(), racksOf: () => [] };
    expect(loads(asked, assign(asked))).toEqual([3, 3, 6]);
  });
});

describe('the assignor sticky', () => {
  it('moves no more than a member that joins or leaves calls for', () => {
    fc.assert(
      fc.property(even, fc.nat(6), (asked, gone) => {
        const { candidates, partitions } = asked;
        const before = assignSticky({ ...asked, current: new Map() });
        const joined = [...candidates, member(9, TOPICS)];
        const afterJoin = assignSticky({ ...asked, candidates: joined, current: before });
        // What the new one has is all that moved, and it has the smaller share where shares differ.
        expect(movedBetween(before, afterJoin)).toBe(Math.floor(partitions.length / joined.length));
        const left = candidates.filter((_, index) => index !== gone % candidates.length);
        if (left.length === 0) return;
        const stays = new Map([...before].filter(([, holder]) => left.some(({ memberId }) => memberId === holder)));
        expect(movedBetween(stays, assignSticky({ ...asked, candidates: left, current: stays }))).toBe(0);
      }),
    );
  });
});

describe('racks', () => {
  const near = (asked: AssignorInput, holders: ReadonlyMap<string, string>): number =>
    asked.partitions.filter((partition) => {
      const holder = asked.candidates.find(({ memberId }) => memberId === holders.get(partitionKey(partition)));
      return holder !== undefined && asked.racksOf(partition).includes(holder.rack);
    }).length;

  it.each([
    ['sticky', assignSticky],
    ['uniform', assignUniform],
  ] as const)('%s reads near where that costs no balance', (_, assign) => {
    const candidates = [0, 1, 2, 3].map((number) => member(number, TOPICS, 1, `rack-${number < 2 ? 0 : 1}`));
    const asked = { candidates, partitions: placesOf({ a: 8, b: 8 }), current: new Map(), racksOf: halves };
    const holders = assign(asked);
    expect(near(asked, holders)).toBe(16);
    expect(loads(asked, holders)).toEqual([4, 4, 4, 4]);
    // All in one rack: balance comes first.
    const oneSided = { ...asked, racksOf: () => ['rack-0'] };
    expect(loads(oneSided, assign(oneSided))).toEqual([4, 4, 4, 4]);
  });

  it.each([
    ['sticky', assignSticky],
    ['uniform', assignUniform],
  ] as const)('%s has the same loads and moves with them as without, and never reads less near', (_, assign) => {
    fc.assert(
      fc.property(input, (asked) => {
        const without = { ...asked, candidates: asked.candidates.map((candidate) => ({ ...candidate, rack: '' })) };
        const [near1, far] = [assign(asked), assign(without)];
        expect(loads(asked, near1)).toEqual(loads(asked, far));
        expect(movedBetween(asked.current, near1)).toBeLessThanOrEqual(movedBetween(asked.current, far));
        expect(near(asked, near1)).toBeGreaterThanOrEqual(near(asked, far));
        // A leader that goes to another rack moves nothing.
        const turned = ({ partition }: TopicPartition): string[] => [`rack-${(partition + 1) % 2}`];
        expect(assign({ ...asked, current: near1, racksOf: turned })).toEqual(near1);
      }),
    );
  });
});

describe('the assignor range', () => {
  it('gives neighbours to one member, and the same numbers of topics of one size to the same', () => {
    const candidates = [0, 1, 2].map((number) => member(number, TOPICS));
    const asked = { candidates, partitions: placesOf({ a: 7, b: 7 }), current: new Map(), racksOf: () => [] };
    const holders = assignRange(asked);
    const of = (topicId: string) => [...Array(7).keys()].map((partition) => holders.get(`${topicId}/${partition}`));
    expect(of('a')).toEqual(['m0', 'm0', 'm0', 'm1', 'm1', 'm2', 'm2']);
    expect(of('b')).toEqual(of('a'));
  });
});
