import { describe, expect, it } from 'vitest';
import type { GroupCommand } from '../commands.ts';
import type { GroupRecord } from '../records.ts';
import { ShardCore } from './shard-core.ts';

const join = (memberId: string): GroupCommand => ({
  kind: 'join',
  group: 'g',
  memberId,
  instanceId: '',
  clientId: '',
  peer: '',
  topics: ['t'],
  topicPattern: '',
  sessionTimeoutMs: 1000,
  rebalanceTimeoutMs: 1000,
  rack: '',
  capacity: 1,
  assignor: '',
  wallMs: 1,
});

function served(resendCountMax = 0, batchBytesMax = 100): ShardCore<string, GroupRecord> {
  const core = new ShardCore<string, GroupRecord>({
    catalog: { topic: () => ({ topicId: 'id', partitionCount: 1 }), matching: () => [], has: () => true },
    form: { encode: (record) => record, bytesOf: () => 1, batchBytesMax },
    resendCountMax,
  });
  core.claimed(1);
  core.replayEnded(true);
  return core;
}

const tickets = (answers: readonly { readonly ticket: string }[]) => answers.map(({ ticket }) => ticket);

describe('the core of a shard', () => {
  it('changes its state and answers only when an append is acknowledged', () => {
    const core = served();
    core.submit(join('a'), 'one');
    const step = core.step();
    expect(step.answers).toEqual([]);
    expect([core.state.size, core.hasWork]).toEqual([0, false]);
    const news = core.appended();
    expect([tickets(news.answers), [...news.changed], core.state.size]).toEqual([['one'], ['g'], 1]);
  });

  it('numbers its records under each claim, and sends an append in doubt again as it was', () => {
    const core = served(1);
    core.submit(join('a'), 'one');
    const first = core.step().append;
    expect(first).toMatchObject({ claimEpoch: 1, firstSequence: 0n });
    expect(core.inDoubt()).toEqual(first);
    expect(core.inDoubt()).toBeUndefined();
    core.appended();
    core.submit(join('b'), 'two');
    expect(core.step().append?.firstSequence).toBe(BigInt(first?.records.length ?? 0));
    core.failed();
    core.claimed(2);
    core.replayEnded(true);
    expect(core.step().append).toMatchObject({ claimEpoch: 2, firstSequence: 0n });
  });

  it('decides again, in order, what was under way when it has to claim anew', () => {
    const core = served();
    core.submit(join('a'), 'one');
    core.step();
    core.submit(join('b'), 'two');
    expect(core.failed()).toEqual([]);
    expect([core.phase, core.hasWork]).toEqual(['claiming', false]);
    core.claimed(2);
    core.replayEnded(true);
    core.step();
    expect(tickets(core.appended().answers)).toEqual(['one', 'two']);
    expect(core.state.get('g')?.members.size).toBe(2);
  });

  it('does not serve a state above which another owner has written', () => {
    const core = served();
    core.failed();
    core.claimed(2);
    core.replayEnded(false);
    expect(core.phase).toBe('claiming');
  });

  it('answers what became durable after it was given up, and refuses what waited', () => {
    const core = served();
    core.submit(join('a'), 'one');
    core.step();
    core.submit(join('b'), 'two');
    expect(core.stop()).toMatchObject([{ ticket: 'two', error: { reason: 'GROUP_LOADING' } }]);
    expect(tickets(core.appended().answers)).toEqual(['one']);
    expect(() => core.submit(join('c'), 'three')).toThrow('is being loaded');
  });

  it('fills a batch no further than it may, and refuses what no batch can hold', () => {
    const core = served(0, 5);
    core.submit(join('a'), 'one');
    core.submit(join('b'), 'two');
    core.step();
    expect(tickets(core.appended().answers)).toEqual(['one']);
    expect(core.hasWork).toBe(true);
    const small = served(0, 1);
    small.submit(join('a'), 'one');
    expect(small.step().answers).toMatchObject([{ ticket: 'one', error: { reason: 'LIMIT_EXCEEDED' } }]);
  });
});
