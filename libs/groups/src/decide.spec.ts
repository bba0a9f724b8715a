import { partitionKey } from '@partita/domain';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { apply, groupPhase, memberEpochOf, ShardDraft } from './index.ts';
import type { OffsetCommit, ShardState } from './index.ts';
import { commitOf, G, shard } from './testing/test-shard.ts';
import type { Shard } from './testing/test-shard.ts';

describe('members', () => {
  it('begin at epoch 2 with every partition', () => {
    const s = shard(3);
    s.join('a');
    expect(s.partitions('a')).toEqual([0, 1, 2]);
    expect(memberEpochOf(s.group!, 'a')).toBe(2);
    expect(groupPhase(s.group!)).toBe('STABLE');
  });

  it('hand a partition over only when the holder has released it', () => {
    const s = shard(4);
    s.join('a');
    s.join('b');
    expect(s.partitions('b')).toEqual([]);
    expect(groupPhase(s.group!)).toBe('RECONCILING');
    expect(memberEpochOf(s.group!, 'a')).toBe(2);
    s.releaseAll('a');
    expect(s.partitions('a')).toHaveLength(2);
    expect(s.partitions('b')).toHaveLength(2);
    expect(memberEpochOf(s.group!, 'a')).toBe(3);
    expect(groupPhase(s.group!)).toBe('STABLE');
  });

  it('get the partitions of one that is put out, and a revoked one back at a new epoch', () => {
    const s = shard(2);
    s.join('a');
    s.join('b');
    const [revoking] = s.held('a').filter((held) => held.revoking);
    s.do({ kind: 'fence', group: G, memberId: 'b', wallMs: 5 });
    expect(s.partitions('a')).toHaveLength(1);
    s.releaseAll('a');
    expect(s.partitions('a')).toHaveLength(2);
    const again = s.held('a').find((held) => partitionKey(held.partition) === partitionKey(revoking!.partition));
    expect(again?.assignmentEpoch).toBeGreaterThan(revoking!.assignmentEpoch);
  });

  it('that are static keep their id and partitions at epochs that fence the older process', () => {
    const s = shard(2);
    s.join('a', ['t'], 'one');
    const before = s.held('a').map((held) => held.assignmentEpoch);
    expect(s.join('a2', ['t'], 'one')).toBe('a');
    expect(s.partitions('a')).toEqual([0, 1]);
    const { refusals } = s.do({
      kind: 'commit',
      group: G,
      memberId: 'a',
      commits: [commitOf(0, 1n, before[0]!)],
      wallMs: 5,
    });
    expect(refusals[0]?.error.reason).toBe('STALE_GENERATION');
  });

  it('follow topics that grow, go and come', () => {
    const s = shard(2);
    s.join('a');
    s.topics.set('t', 3);
    s.do({ kind: 'refresh', group: G });
    expect(s.partitions('a')).toEqual([0, 1, 2]);
    s.topics.delete('t');
    s.do({ kind: 'refresh', group: G });
    expect(s.held('a')).toEqual([]);
    const epoch = s.group?.value?.groupEpoch;
    s.do({ kind: 'refresh', group: G });
    expect(s.group?.value?.groupEpoch).toBe(epoch);
  });

  it('are refused with an assignor that nobody has, and when they come back from nowhere', () => {
    const s = shard(1);
    const base = { kind: 'rejoin' as const, group: G, memberEpoch: 0, instanceId: '', topics: ['t'], topicPattern: '' };
    expect(s.try({ ...base, memberId: 'x' })).toMatchObject({ reason: 'MEMBER_NOT_FOUND' });
    s.join('a');
    expect(s.try({ ...base, memberId: 'a', memberEpoch: 9 })).toMatchObject({ reason: 'STALE_GENERATION' });
    expect(s.try({ ...base, memberId: 'a', memberEpoch: 2 })).toMatchObject({ memberId: 'a' });
  });
});

describe('commits', () => {
  const commit = (s: Shard, memberId: string, ...commits: OffsetCommit[]) =>
    s.try({ kind: 'commit', group: G, memberId, commits, wallMs: 5 });

  it('are taken from the holder at an epoch between the assignment and its own', () => {
    const s = shard(1);
    s.join('a');
    expect(commit(s, 'a', commitOf(0, 5n, 2))).toMatchObject({ refusals: [] });
    expect(commit(s, 'a', commitOf(0, 6n, 1))).toMatchObject({ refusals: [{ error: { reason: 'STALE_GENERATION' } }] });
    expect(commit(s, 'a', commitOf(0, 6n, 3))).toMatchObject({ refusals: [{ error: { reason: 'STALE_GENERATION' } }] });
    expect(commit(s, 'a', commitOf(0, 101n, 2))).toMatchObject({
      refusals: [{ error: { reason: 'OFFSET_OUT_OF_RANGE' } }],
    });
    expect(commit(s, 'a', { ...commitOf(0, 6n, 2), metadata: 'ü'.repeat(2049) })).toMatchObject({
      refusals: [{ error: { reason: 'INVALID_REQUEST' } }],
    });
    expect(commit(s, 'b', commitOf(0, 6n, 2))).toMatchObject({ reason: 'MEMBER_NOT_FOUND' });
    expect(s.group?.offsets.get('id-t/0')?.nextOffset).toBe(5n);
  });

  it('never lower an offset', () => {
    const s = shard(1);
    s.join('a');
    commit(s, 'a', commitOf(0, 5n, 2));
    expect(commit(s, 'a', commitOf(0, 3n, 2))).toMatchObject({ refusals: [] });
    expect(s.group?.offsets.get('id-t/0')?.nextOffset).toBe(5n);
    s.do({ kind: 'leave', group: G, memberId: 'a', commits: [commitOf(0, 7n, 2)], wallMs: 5 });
    expect(s.group?.offsets.get('id-t/0')?.nextOffset).toBe(7n);
    expect(commit(s, '', commitOf(0, 4n, 0))).toMatchObject({
      refusals: [{ error: { reason: 'OFFSET_OUT_OF_RANGE' } }],
    });
  });

  it('come from outside only while there are no members, and make the group', () => {
    const s = shard(1);
    expect(commit(s, '', commitOf(0, 4n, 0))).toMatchObject({ refusals: [] });
    expect(s.group?.value?.groupEpoch).toBe(1);
    s.join('a');
    expect(memberEpochOf(s.group!, 'a')).toBe(2);
    expect(commit(s, '', commitOf(0, 5n, 0))).toMatchObject({ reason: 'GROUP_NOT_EMPTY' });
    expect(s.try({ kind: 'delete', group: G })).toMatchObject({ reason: 'GROUP_NOT_EMPTY' });
    s.do({ kind: 'leave', group: G, memberId: 'a', commits: [], wallMs: 5 });
    s.do({ kind: 'delete', group: G });
    expect(s.state.size).toBe(0);
  });

  it('of start offsets do not touch what is committed', () => {
    const s = shard(2);
    s.join('a');
    commit(s, 'a', commitOf(0, 5n, 2));
    const starts = [0, 1].map((partition) => ({
      topic: 't',
      partition: { topicId: 'id-t', partition },
      nextOffset: 1n,
    }));
    s.do({ kind: 'startOffsets', group: G, starts, wallMs: 5 });
    expect([...s.group!.offsets.values()].map((offset) => offset.nextOffset)).toEqual([5n, 1n]);
  });
});

const MEMBERS = ['a', 'b', 'c', 'd'];
type Step = { readonly kind: string; readonly member: string; readonly number: number };

function run(s: Shard, { kind, member, number }: Step): void {
  const isMember = s.group?.members.has(member) === true;
  switch (kind) {
    case 'join':
      if (!isMember) s.join(member, number % 2 === 0 ? ['t'] : ['t', 'u'], number % 5 === 0 ? `static-${member}` : '');
      return;
    case 'subscribe':
      if (isMember)
        s.do({
          kind: 'subscribe',
          group: G,
          memberId: member,
          topics: number % 2 === 0 ? ['u'] : ['t'],
          topicPattern: '',
        });
      return;
    case 'release':
      if (isMember) s.releaseAll(member);
      return;
    case 'leave':
      s.do({ kind: 'leave', group: G, memberId: member, commits: [], wallMs: 5 });
      return;
    case 'fence':
      s.do({ kind: 'fence', group: G, memberId: member, wallMs: 5 });
      return;
    case 'topics':
      if (number % 3 === 0) s.topics.delete('u');
      else s.topics.set('u', (s.topics.get('u') ?? 0) + 1);
      s.do({ kind: 'refresh', group: G });
      return;
    default: {
      const commits = [commitOf(number % 4, BigInt(number), (s.group?.value?.groupEpoch ?? 0) - (number % 3))];
      s.try({ kind: 'commit', group: G, memberId: member, commits, wallMs: 5 });
    }
  }
}

describe('whatever members do, in any order', () => {
  const kind = fc.constantFrom(
    'join',
    'join',
    'subscribe',
    'release',
    'release',
    'leave',
    'fence',
    'topics',
    'commit',
    'commit',
  );
  const steps = fc.array(fc.record({ kind, member: fc.constantFrom(...MEMBERS), number: fc.nat(90) }), {
    maxLength: 60,
  });

  it('no partition has two holders under one epoch, epochs and offsets never fall, and it settles', () => {
    fc.assert(
      fc.property(steps, (all) => {
        const s = shard(5);
        s.topics.set('u', 2);
        for (const step of all) run(s, step);
        for (let round = 0; round < 3; round++)
          for (const member of s.group?.members.keys() ?? []) s.releaseAll(member);
        if (s.group === undefined || s.group.members.size === 0) return;
        expect(groupPhase(s.group)).toBe('STABLE');
        const wanted = new Set([...s.group.members.values()].flatMap((member) => member.topics));
        const count = [...wanted].reduce((sum, name) => sum + (s.topics.get(name) ?? 0), 0);
        expect(s.group.held.size).toBe(count);
      }),
      { numRuns: 300 },
    );
  });

  it('replay of the records gives the same state, and so does a draft', () => {
    fc.assert(
      fc.property(steps, (all) => {
        const s = shard(5);
        for (const step of all) run(s, step);
        const replayed: ShardState = new Map();
        const draft = new ShardDraft(new Map());
        for (const record of s.log) {
          apply(replayed, record);
          draft.apply(record);
        }
        expect(replayed).toEqual(s.state);
        expect(draft.get(G)).toEqual(s.group);
      }),
    );
  });
});
