import { OFFSET_EXPIRY_MS } from '@partita/domain';
import { describe, expect, it } from 'vitest';
import { expiredOffsets, isAbandoned } from './index.ts';
import { commitOf, G, shard } from './testing/test-shard.ts';
import type { Shard } from './testing/test-shard.ts';

const DAY_MS = 86_400_000;
const short = () => DAY_MS;

function committed(partitionCount: number, wallMs: number): Shard {
  const s = shard(partitionCount);
  s.join('a');
  s.do({ kind: 'commit', group: G, memberId: 'a', commits: [commitOf(0, 5n, 2)], wallMs });
  return s;
}

function leave(s: Shard, wallMs: number): void {
  s.do({ kind: 'leave', group: G, memberId: 'a', commits: [], wallMs });
}

describe('offsets expire', () => {
  it('seven days after the last member has gone, or by the retention of the topic when that is longer', () => {
    const s = committed(1, 100);
    const later = 1000 + OFFSET_EXPIRY_MS;
    expect(expiredOffsets(s.group!, later + 1, short)).toEqual([]);
    leave(s, 1000);
    expect(s.group?.value?.emptySinceMs).toBe(1000n);
    expect(expiredOffsets(s.group!, later, short)).toEqual([]);
    expect(expiredOffsets(s.group!, later + 1, () => 8 * DAY_MS)).toEqual([]);
    expect(expiredOffsets(s.group!, later + 1, () => -1)).toEqual([]);
    const expired = expiredOffsets(s.group!, later + 1, short);
    expect(expired).toEqual([{ topicId: 'id-t', partition: 0, idleSinceMs: 1000n }]);
    s.do({ kind: 'expire', group: G, partitions: expired });
    expect(s.state.size).toBe(0);
  });

  it('of topics that are gone also while the group has members', () => {
    const s = committed(1, 100);
    expect(expiredOffsets(s.group!, 101 + OFFSET_EXPIRY_MS, () => undefined)).toHaveLength(1);
    expect(expiredOffsets(s.group!, 99 + OFFSET_EXPIRY_MS, () => undefined)).toEqual([]);
    const partitions = [{ topicId: 'id-t', partition: 0 }];
    s.do({ kind: 'expire', group: G, partitions });
    expect(s.group?.offsets.size).toBe(1);
    s.topics.delete('t');
    s.do({ kind: 'expire', group: G, partitions });
    expect(s.group?.offsets.size).toBe(0);
    expect(s.group?.members.size).toBe(1);
  });

  it('not when the group was used after they were found', () => {
    const s = committed(1, 100);
    leave(s, 1000);
    const partitions = expiredOffsets(s.group!, OFFSET_EXPIRY_MS * 2, short);
    expect(partitions).toHaveLength(1);
    s.join('a');
    expect(s.group?.value?.emptySinceMs).toBe(0n);
    s.do({ kind: 'expire', group: G, partitions });
    expect(s.group?.offsets.size).toBe(1);
    s.do({ kind: 'fence', group: G, memberId: 'a', wallMs: 2000 });
    s.do({ kind: 'expire', group: G, partitions });
    expect(s.group?.offsets.size).toBe(1);
    s.do({ kind: 'commit', group: G, memberId: '', commits: [commitOf(0, 9n, 0)], wallMs: 3000 });
    s.do({ kind: 'expire', group: G, partitions: [{ topicId: 'id-t', partition: 0, idleSinceMs: 2000n }] });
    expect(s.group?.offsets.size).toBe(1);
  });

  it('and a group that never had any is abandoned as long after its last member', () => {
    const s = shard(1);
    s.join('a');
    leave(s, 1000);
    expect(isAbandoned(s.group!, 1000 + OFFSET_EXPIRY_MS)).toBe(false);
    expect(isAbandoned(s.group!, 1001 + OFFSET_EXPIRY_MS)).toBe(true);
    s.do({ kind: 'expire', group: G, partitions: [] });
    expect(s.state.size).toBe(0);
    s.do({ kind: 'expire', group: G, partitions: [] });
  });
});
