import { describe, expect, it } from 'vitest';
import { assignmentOf, memberEpochOf } from './index.ts';
import { commitOf, G, shard } from './testing/test-shard.ts';
import type { Shard } from './testing/test-shard.ts';

function resetOf(partition: number, nextOffset: bigint, topic = 't') {
  return { topic, partition: { topicId: `id-${topic}`, partition }, nextOffset };
}

function commit(s: Shard, memberId: string, ...commits: ReturnType<typeof commitOf>[]) {
  return s.do({ kind: 'commit', group: G, memberId, commits, wallMs: 5 }).refusals.map(({ error }) => error.reason);
}

function offset(s: Shard, partition: number) {
  return s.group?.offsets.get(`id-t/${partition}`);
}

describe('a reset', () => {
  it('moves offsets up and down, fences commits on their way, and leaves other partitions alone', () => {
    const s = shard(2);
    s.join('a');
    expect(commit(s, 'a', commitOf(0, 50n, 2), commitOf(1, 50n, 2))).toEqual([]);
    s.do({ kind: 'reset', group: G, moves: [resetOf(0, 10n)], wallMs: 6 });
    expect(offset(s, 0)).toMatchObject({ nextOffset: 10n, resetEpoch: 3, commitTimeMs: 6n });
    expect(s.held('a').map((held) => held.assignmentEpoch)).toEqual([3, 2]);
    expect(commit(s, 'a', commitOf(0, 60n, 2), commitOf(1, 60n, 2))).toEqual(['STALE_GENERATION']);
    expect(commit(s, 'a', commitOf(0, 20n, 3))).toEqual([]);
    expect(offset(s, 0)).toMatchObject({ nextOffset: 20n, resetEpoch: 3 });
    expect(offset(s, 1)).toMatchObject({ nextOffset: 60n, resetEpoch: 0 });
    s.do({ kind: 'reset', group: G, moves: [resetOf(0, 90n)], wallMs: 6 });
    expect(offset(s, 0)).toMatchObject({ nextOffset: 90n, resetEpoch: 4 });
  });

  it('leaves what is being given up so, at an epoch that the release has to name', () => {
    const s = shard(2);
    s.join('a');
    s.join('b');
    const [revoking] = s.held('a').filter((held) => held.revoking);
    const { partition } = revoking!;
    s.do({ kind: 'reset', group: G, moves: [resetOf(partition.partition, 7n)], wallMs: 6 });
    const now = s.held('a').find((held) => held.revoking);
    expect(now).toMatchObject({ partition, assignmentEpoch: 4, targetMemberId: 'b' });
    const stale = { ...partition, assignmentEpoch: revoking!.assignmentEpoch };
    s.do({ kind: 'release', group: G, memberId: 'a', partitions: [stale], commits: [], wallMs: 6 });
    expect(s.partitions('b')).toEqual([]);
    s.releaseAll('a');
    expect(s.partitions('b')).toEqual([partition.partition]);
  });

  it('never lets the epoch of a member that gives several partitions up fall', () => {
    const s = shard(6);
    s.join('a');
    s.join('b');
    const revoking = s.held('a').filter((held) => held.revoking);
    expect(revoking).toHaveLength(3);
    const [first] = revoking;
    s.do({ kind: 'reset', group: G, moves: [resetOf(first!.partition.partition, 7n)], wallMs: 6 });
    expect(memberEpochOf(s.group!, 'a')).toBe(4);
    s.do({
      kind: 'release',
      group: G,
      memberId: 'a',
      partitions: [{ ...first!.partition, assignmentEpoch: 4 }],
      commits: [],
      wallMs: 6,
    });
    expect(assignmentOf(s.group!, 'a').some((held) => held.revoking)).toBe(true);
    expect(memberEpochOf(s.group!, 'a')).toBe(4);
  });

  it('of partitions that nobody holds sets where a group begins, and needs the group', () => {
    const s = shard(1);
    const command = { kind: 'reset' as const, group: G, moves: [resetOf(0, 10n)], wallMs: 6 };
    expect(s.try(command)).toMatchObject({ reason: 'GROUP_NOT_FOUND' });
    expect(commit(s, '', commitOf(0, 50n, 0))).toEqual([]);
    s.do(command);
    s.do(command);
    expect(offset(s, 0)).toMatchObject({ nextOffset: 10n, resetEpoch: 3 });
    expect(s.try({ ...command, moves: [resetOf(0, -1n)] })).toMatchObject({ reason: 'OFFSET_OUT_OF_RANGE' });
  });
});
