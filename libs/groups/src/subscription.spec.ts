import { describe, expect, it } from 'vitest';
import { isUnsettled } from './index.ts';
import { G, shard } from './testing/test-shard.ts';
import type { Shard } from './testing/test-shard.ts';

function topicsOf(s: Shard, memberId: string): string[] {
  return [...new Set(s.held(memberId).map((held) => held.partition.topicId))];
}

describe('a subscription', () => {
  it('by pattern takes the topics that match, those that come later too, besides those it names', () => {
    const s = shard(1);
    s.topics.set('orders-1', 1);
    s.join('a', ['t', 'missing'], '', { topicPattern: 'orders-.*' });
    expect(topicsOf(s, 'a')).toEqual(['id-orders-1', 'id-t']);
    expect(isUnsettled(s.group!, s.catalog)).toBe(false);
    s.topics.set('other', 1);
    expect(isUnsettled(s.group!, s.catalog)).toBe(false);
    s.topics.set('orders-2', 1);
    expect(isUnsettled(s.group!, s.catalog)).toBe(true);
    s.do({ kind: 'refresh', group: G });
    expect(topicsOf(s, 'a')).toEqual(['id-orders-1', 'id-orders-2', 'id-t']);
  });

  it('counts a topic once that is named and matches', () => {
    const s = shard(3);
    s.join('a', ['t'], '', { topicPattern: 't' });
    expect(s.partitions('a')).toEqual([0, 1, 2]);
  });

  it('rebalances when only its pattern changes, and not when nothing does', () => {
    const s = shard(2);
    s.topics.set('u', 2);
    s.join('a', [], '', { topicPattern: 't' });
    const subscribe = { kind: 'subscribe' as const, group: G, memberId: 'a', topics: [] };
    s.do({ ...subscribe, topicPattern: 'u' });
    s.releaseAll('a');
    expect(topicsOf(s, 'a')).toEqual(['id-u']);
    const epoch = s.group?.value?.groupEpoch;
    s.do({ ...subscribe, topicPattern: 'u' });
    s.do({ ...subscribe, kind: 'rejoin', memberEpoch: 0, instanceId: '', topicPattern: 'u' });
    expect(s.group?.value?.groupEpoch).toBe(epoch);
    s.do({ ...subscribe, kind: 'rejoin', memberEpoch: 0, instanceId: '', topicPattern: '[tu]' });
    expect(topicsOf(s, 'a')).toEqual(['id-t', 'id-u']);
  });

  it('of a static member that comes back for less gives up what it does not want any more', () => {
    const s = shard(2);
    s.topics.set('u', 2);
    s.join('a', ['t', 'u'], 'one');
    s.join('b', ['u']);
    s.releaseAll('a');
    s.join('x', ['t'], 'one');
    s.releaseAll('a');
    expect(topicsOf(s, 'a')).toEqual(['id-t']);
    expect(topicsOf(s, 'b')).toEqual(['id-u']);
  });
});
